"""A DSPy module, traced by MLflow."""

import dspy
import mlflow
from _check import check

mlflow.set_experiment("dspy")
mlflow.dspy.autolog()
dspy.configure(lm=dspy.LM("openai/gpt-4o-mini", cache=False))
assert dspy.Predict("question -> answer")(question="Why is the sky blue?").answer == "Because."
check("dspy", kinds={"LLM", "CHAT_MODEL"})
