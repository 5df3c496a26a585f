"""Prompts, datasets, run items and decorators as SDK 2 spells them."""

import json

from langfuse import Langfuse
from langfuse.decorators import langfuse_context, observe

langfuse = Langfuse()
langfuse.create_prompt(name="two/greeting 2", prompt="hi {{x}}", labels=["production"], config={"k": 1})
prompt = langfuse.get_prompt("two/greeting 2")
langfuse.create_dataset(name="two/set 2")
langfuse.create_dataset_item(dataset_name="two/set 2", id="two-1", input={"q": 1}, expected_output=2)
dataset = langfuse.get_dataset("two/set 2")
trace = langfuse.trace(name="linked")
dataset.items[0].link(trace, "run 2")


@observe(as_type="generation")
def call(x):
    langfuse_context.update_current_observation(model="gpt-4o", usage={"input": 1000, "output": 0}, prompt=prompt)
    langfuse_context.score_current_observation(name="s", value=1)
    return "o"


@observe()
def program(x):
    langfuse_context.update_current_trace(user_id="decorated")
    return call(x)


program("i")
langfuse_context.flush()
langfuse.flush()
run = langfuse.get_dataset_run("two/set 2", "run 2")
[found] = langfuse.fetch_traces(user_id="decorated").data
[generation] = langfuse.fetch_observations(name="call").data
print(
    json.dumps(
        {
            "prompt": [prompt.compile(x=1), prompt.config],
            "items": [[item.id, item.input] for item in dataset.items],
            "linked": [[item.dataset_item_id, item.trace_id == trace.id] for item in run.dataset_run_items],
            "cost": found.total_cost,
            "used": [generation.prompt_name, generation.prompt_version],
        }
    )
)
