"""Limits and names of what is logged to runs. Values and messages are MLflow 3.18's (``mlflow.utils.validation``)."""

from __future__ import annotations

import json
import posixpath
import random
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from twinlens.domain.errors import InvalidArgument
from twinlens.domain.run import DatasetInput, LatestMetric

MAX_KEY = 250
MAX_PARAM_VALUE = 6_000
MAX_TAG_VALUE = 8_000
MAX_EXPERIMENT_NAME = 500
MAX_EXPERIMENT_TAG_VALUE = 20_000
MAX_DATASET = {"name": 500, "digest": 36, "source": 65_535, "schema": 1_048_575, "profile": 16_777_215}
MAX_INPUT_TAG_KEY = 255
MAX_INPUT_TAG_VALUE = 500
_INT64 = 1 << 63

_KEY = re.compile(r"[/\w.\- :]*\Z")
_RUN_ID = re.compile(r"[a-zA-Z0-9][\w\-]{0,255}\Z")
_BAD_CHARACTERS = "Names may only contain alphanumerics, underscores (_), dashes (-), periods (.), spaces ( ), colon(:) and slashes (/)."


def invalid_value(path: str, value: object, reason: str = "") -> InvalidArgument:
    """``Invalid value … for parameter … supplied``."""
    shown = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return InvalidArgument(
        f"Invalid value {shown} for parameter '{path}' supplied" + (f": {reason}" if reason else ".")
    )


def too_long(what: str, limit: int) -> InvalidArgument:
    """``… exceeds the maximum length``."""
    return InvalidArgument(f"'{what}' exceeds the maximum length of {limit} characters")


@lru_cache(maxsize=16_384)
def _key_problem(key: str) -> str | None:
    """What is wrong with the name of a metric, param or tag; None when nothing is. Names repeat, so answers are kept."""
    if not _KEY.match(key):
        return _BAD_CHARACTERS
    plain = posixpath.normpath(key)
    if plain != key or plain == "." or plain.startswith(("..", "/")):
        return (
            "Names may be treated as files in certain cases, and must not resolve to other names when treated as such. "
            f"This name would resolve to {plain!r}"
        )
    return None


def check_key(key: str, path: str, what: str) -> None:
    """Refuse the name of a metric, param or tag that MLflow would refuse.

    Args:
        path: where the name stands in the request, for the message.
        what: subject of the message about length.
    """
    problem = _key_problem(key)
    if problem:
        raise invalid_value(path, key, problem)
    if len(key) > MAX_KEY:
        raise too_long(what, MAX_KEY)


def check_params(params: Iterable[tuple[str, str]], many: bool = False) -> dict[str, str]:
    """Params ready to be stored: names checked, longer values cut to 6,000 characters (as MLflow does)."""
    found: dict[str, str] = {}
    repeated: list[str] = []
    for index, (key, value) in enumerate(params):
        check_key(key, f"params[{index}].key" if many else "key", "Param key")
        if key in found:
            repeated.append(key)
        found[key] = value[:MAX_PARAM_VALUE]
    if repeated:
        raise InvalidArgument(
            f"Duplicate parameter keys have been submitted: {repeated}. Please ensure the request contains only one "
            "param value per param key."
        )
    return found


def check_tags(tags: Iterable[tuple[str, str]], many: bool = False) -> dict[str, str]:
    """Run tags ready to be stored: names checked, longer values cut to 8,000 characters; the last of a name wins."""
    found: dict[str, str] = {}
    for index, (key, value) in enumerate(tags):
        path = f"tags[{index}].key" if many else "key"
        check_key(key, path, path)
        found[key] = value[:MAX_TAG_VALUE]
    return found


def check_experiment_tags(tags: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Experiment tags ready to be stored; nothing is cut."""
    found: dict[str, str] = {}
    for key, value in tags:
        check_key(key, "key", "key")
        if len(value) > MAX_EXPERIMENT_TAG_VALUE:
            raise too_long("value", MAX_EXPERIMENT_TAG_VALUE)
        found[key] = value
    return found


def check_metrics(points: Sequence[LatestMetric], many: bool = False) -> None:
    """Refuse points with a bad name, a negative time, or numbers beyond 64 bits."""
    for index, point in enumerate(points):
        if (
            _key_problem(point.key) is None
            and len(point.key) <= MAX_KEY
            and 0 <= point.timestamp_ms < _INT64
            and -_INT64 <= point.step < _INT64
        ):
            continue
        path = f"metrics[{index}]." if many else ""
        check_key(point.key, f"{path}name", "Metric name")
        about = f"metric '{point.key}' (value={point.value}). "
        if not 0 <= point.timestamp_ms < _INT64:
            raise invalid_value(
                f"{path}timestamp", point.timestamp_ms, about + "Timestamp must be a nonnegative long (64-bit integer) "
            )
        raise invalid_value(f"{path}step", point.step, about + "Step must be a valid long (64-bit integer).")


def check_inputs(inputs: Iterable[DatasetInput]) -> list[DatasetInput]:
    """Data set inputs within their limits, the first of each (name, digest)."""
    found: dict[tuple[str, str], DatasetInput] = {}
    for item in inputs:
        data = item.dataset
        sizes = {
            "name": data.name, "digest": data.digest, "source": data.source, "schema": data.schema,
            "profile": data.profile,
        }  # fmt: skip
        for field, value in sizes.items():
            if value is not None and len(value) > MAX_DATASET[field]:
                raise too_long(field, MAX_DATASET[field])
        for key, value in item.tags.items():
            if len(key) > MAX_INPUT_TAG_KEY:
                raise too_long("key", MAX_INPUT_TAG_KEY)
            if len(value) > MAX_INPUT_TAG_VALUE:
                raise too_long("value", MAX_INPUT_TAG_VALUE)
        found.setdefault((data.name, data.digest), item)
    return list(found.values())


def check_experiment_name(name: str) -> None:
    """Refuse an empty or too long experiment name."""
    if not name:
        raise InvalidArgument(f"Invalid experiment name: '{name}'")
    if len(name) > MAX_EXPERIMENT_NAME:
        raise too_long("name", MAX_EXPERIMENT_NAME)


def check_run_id(run_id: str) -> None:
    """Refuse text that no run can have as its id."""
    if not _RUN_ID.match(run_id):
        raise invalid_value("run_id", run_id)


def experiment_number(experiment_id: str) -> int:
    """An experiment id as the number it stands for.

    Raises:
        InvalidArgument: not a whole number.
    """
    try:
        number = int(experiment_id)
    except ValueError:
        number = _INT64
    if not -_INT64 <= number < _INT64:
        raise InvalidArgument(f"Invalid experiment ID '{experiment_id}'. Experiment ID must be a valid integer.")
    return number


_ADJECTIVES = (
    "able amber ample apt avid bold brave brisk bright calm casual clean clever cool crisp curious daring deep eager "
    "fair fancy fast fine firm fond fresh gentle glad golden good grand happy hearty honest humble keen kind lively "
    "loud lucky mellow merry mild neat nimble noble orderly patient placid polite proud quick quiet rapid rare ready "
    "robust rustic sassy serene sharp silent silver simple skilled sleek smart smooth sober solid spry steady stoic "
    "sunny swift tidy tough trusty upbeat valiant vivid warm wise witty youthful zealous"
)
_ANIMALS = (
    "ant ape asp auk bass bat bear bee bird boar bug calf carp cat cod colt cow crab crane crow cub deer doe dog dove "
    "duck eel elk ewe fawn finch fish flea fly fox frog gnat goat goose grouse grub gull hare hawk hen hog horse hound "
    "jay kit kite koi lamb lark loon lynx mare mink mole moose moth mouse mule newt ox perch pig pug quail ram rat ray "
    "roo seal shad shark sheep shrew shrimp skunk sloth slug smelt snail snake snipe sow squid stag steed stoat stork "
    "swan tern toad trout turtle vole wasp whale wolf worm wren yak zebra"
)


def random_run_name() -> str:
    """``adjective-animal-number``, at most 20 characters: what a run without a name is called."""
    adjective, animal = random.choice(_ADJECTIVES.split()), random.choice(_ANIMALS.split())  # noqa: S311 - a name, not a secret
    return f"{adjective}-{animal}-{random.randrange(1000)}"[:20]  # noqa: S311
