"""A DSPy module that thinks first."""

import dspy

dspy.configure(lm=dspy.LM("openai/gpt-4o-mini", cache=False))
print(dspy.ChainOfThought("question -> answer")(question="Why is the sky blue?").answer)
