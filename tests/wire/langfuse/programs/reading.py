"""What every program of the matrix reads back, in one shape, whichever API it came through."""

import base64
import json
import os
import sys

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
#: One of every JSON type.
METADATA = {"k": "v", "int": 7, "float": 1.5, "flag": True, "none": None, "list": [1, "a"], "object": {"a": {"b": 1}}}
DATASET = "matrix/questions & answers"
RUN = "run / one"
CLIENT = os.environ.get("CLIENT", "client")


def _tokens(usage):
    return [usage[key] for key in ("input", "output", "total")]


def of_trace(trace, prompt_of=lambda row: [row.prompt_name, row.prompt_version]):
    """A trace of v1."""
    rows = {row.name: row for row in trace.observations}
    names = {row.id: row.name for row in trace.observations}
    generation = rows["completion"]
    return {
        "name": trace.name,
        "user": trace.user_id,
        "session": trace.session_id,
        "tags": trace.tags,
        "version": trace.version,
        "cost": round(trace.total_cost, 6),
        "observations": sorted(
            [row.name, row.type, names.get(row.parent_observation_id)] for row in trace.observations
        ),
        "model": generation.model,
        "tokens": _tokens(generation.usage_details),
        "output": generation.output,
        "prompt": prompt_of(generation),
        "level": str(getattr(rows["inner"].level, "value", rows["inner"].level)),
        "metadata": {key: rows["outer"].metadata.get(key) for key in METADATA},
        "media": "@@@langfuseMedia:type=image/png|id=" in json.dumps(rows["inner"].input),
        "scores": {score.name: score.value for score in trace.scores},
    }


def of_rows(rows, scores):
    """The rows of v2 observations and the scores of v2 or v3."""
    found = {row.name: row for row in rows}
    names = {row.id: row.name for row in rows}
    generation = found["completion"]
    return {
        "name": generation.trace_name,
        "user": generation.user_id,
        "session": generation.session_id,
        "tags": generation.tags,
        "version": generation.version,
        "cost": round(sum(row.total_cost or 0 for row in rows), 6),
        "observations": sorted([row.name, row.type, names.get(row.parent_observation_id)] for row in rows),
        "model": generation.model,
        "tokens": _tokens(generation.usage_details),
        "output": generation.output,
        "prompt": [generation.prompt_name, generation.prompt_version],
        "level": str(getattr(found["inner"].level, "value", found["inner"].level)),
        "metadata": {key: found["outer"].metadata.get(key) for key in METADATA},
        "media": "@@@langfuseMedia:type=image/png|id=" in found["inner"].input,
        "scores": {score.name: score.value for score in scores},
    }


def others(told):
    """Say what was written, wait for the traces of all programs, and return their ids; the own one when nobody waits."""
    print(json.dumps(told), flush=True)
    line = sys.stdin.readline()
    return json.loads(line) if line.strip() else [told["trace_id"]]


def finish(told, **readings):
    """The last line: everything said, with what each API read."""
    print(json.dumps({**told, "readings": readings}))
