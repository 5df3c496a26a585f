"""Records: everything a project holds, one type per kind, as archives and migrations carry it between systems.

A record says all there is to say about one thing; ids and times are the original ones. Records of one kind come before
those of the next in the order of ``KINDS``, so that whatever a record refers to is there before it. What is derived
(latest metric values, sessions, rollups) is not carried: the target derives it again.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec

from twinlens.domain.comment import Comment
from twinlens.domain.dataset import Dataset, DatasetItem, DatasetRun, DatasetRunItem
from twinlens.domain.logged_model import LoggedModel
from twinlens.domain.media import Media, MediaLink
from twinlens.domain.price import Price
from twinlens.domain.prompt import Prompt, PromptVersion
from twinlens.domain.registry import ModelVersion, RegisteredModel
from twinlens.domain.run import Experiment, Run
from twinlens.domain.score import Score
from twinlens.domain.score_config import ScoreConfig
from twinlens.domain.trace import Span, TraceSummary

#: Prefix of tags and metadata keys that carry what a target system has no place for. A way back reads them again.
CARRIED = "twinlens.carried."


class Record(msgspec.Struct, kw_only=True, tag_field="kind", omit_defaults=True):
    """Base of all records."""

    @property
    def key(self) -> str:
        """What identifies the thing within its kind and project."""
        raise NotImplementedError


class PriceRecord(Record, tag="price"):
    """A price row."""

    price: Price

    @property
    def key(self) -> str:
        """Its id."""
        return self.price.id


class ScoreConfigRecord(Record, tag="score_config"):
    """A score config."""

    config: ScoreConfig

    @property
    def key(self) -> str:
        """Its id."""
        return self.config.config_id


class ExperimentRecord(Record, tag="experiment"):
    """An experiment, deleted ones too."""

    experiment: Experiment

    @property
    def key(self) -> str:
        """Its id."""
        return self.experiment.experiment_id


class RunRecord(Record, tag="run"):
    """A run without metrics, which follow as ``MetricsRecord``.

    ``artifacts_stay``: its artifacts lie outside the system it comes from (a bucket, a shared folder); they are referred
    to, not copied.
    """

    run: Run
    artifacts_stay: bool = False

    @property
    def key(self) -> str:
        """Its id."""
        return self.run.run_id


class LoggedModelRecord(Record, tag="logged_model"):
    """A logged model without metrics, which the points of its runs carry. ``artifacts_stay`` as for runs."""

    model: LoggedModel
    artifacts_stay: bool = False

    @property
    def key(self) -> str:
        """Its id."""
        return self.model.model_id


class Point(msgspec.Struct, array_like=True, frozen=True, omit_defaults=True):
    """One point of a metric. A value that JSON has no number for is text: ``NaN``, ``Infinity``, ``-Infinity``."""

    value: float | str
    timestamp_ms: int
    step: int = 0
    model_id: str | None = None
    dataset_name: str | None = None
    dataset_digest: str | None = None

    @property
    def number(self) -> float:
        """The value."""
        return float(self.value)


class MetricsRecord(Record, tag="metrics"):
    """Some points of one metric of one run, by (timestamp, step, value). ``first`` counts the points before them."""

    run_id: str
    name: str
    points: list[Point]
    first: int = 0

    @property
    def key(self) -> str:
        """Run, metric and place."""
        return f"{self.run_id}/{self.name}/{self.first}"


class RegisteredModelRecord(Record, tag="registered_model"):
    """A registered model with all versions. ``last_version``: the highest number ever given out."""

    model: RegisteredModel
    versions: list[ModelVersion] = []
    last_version: int = 0

    @property
    def key(self) -> str:
        """Its name."""
        return self.model.name


class PromptRecord(Record, tag="prompt"):
    """A prompt with all versions; ``prompt.labels`` says where each label is."""

    prompt: Prompt
    versions: list[PromptVersion] = []
    last_version: int = 0

    @property
    def key(self) -> str:
        """Its name."""
        return self.prompt.name


class DatasetRecord(Record, tag="dataset"):
    """A dataset without its items."""

    dataset: Dataset

    @property
    def key(self) -> str:
        """Its id."""
        return self.dataset.dataset_id


class DatasetItemRecord(Record, tag="dataset_item"):
    """One state of one item. ``valid_to_ns``: when the next state (or deletion) ended it."""

    item: DatasetItem
    valid_to_ns: int | None = None

    @property
    def key(self) -> str:
        """Id and start of validity."""
        return f"{self.item.item_id}/{self.item.valid_from_ns}"


class DatasetRunRecord(Record, tag="dataset_run"):
    """A run over a dataset."""

    run: DatasetRun

    @property
    def key(self) -> str:
        """Its id."""
        return self.run.run_id


class DatasetRunItemRecord(Record, tag="dataset_run_item"):
    """What a dataset run produced for one item."""

    item: DatasetRunItem

    @property
    def key(self) -> str:
        """Run and id."""
        return f"{self.item.run_id}/{self.item.run_item_id}"


class TraceRecord(Record, tag="trace"):
    """A trace with its spans, or with its first ones when it is long; the others follow as ``SpansRecord``."""

    trace: TraceSummary
    spans: list[Span] = []

    @property
    def key(self) -> str:
        """Its id."""
        return self.trace.trace_id


class SpansRecord(Record, tag="spans"):
    """More spans of a long trace. ``first`` counts the spans before them."""

    trace_id: str
    first: int
    spans: list[Span]

    @property
    def key(self) -> str:
        """Trace and place."""
        return f"{self.trace_id}/{self.first}"


class ScoreRecord(Record, tag="score"):
    """A score of a trace, span, session or dataset run."""

    score: Score

    @property
    def key(self) -> str:
        """Its id."""
        return self.score.score_id


class CommentRecord(Record, tag="comment"):
    """A comment."""

    comment: Comment

    @property
    def key(self) -> str:
        """Its id."""
        return self.comment.comment_id


class MediaRecord(Record, tag="media"):
    """A media file: what is known of it and where it is used. Its bytes travel apart, under ``media/<id>``."""

    media: Media
    links: list[MediaLink] = []

    @property
    def key(self) -> str:
        """Its id."""
        return self.media.media_id


class ArtifactRecord(Record, tag="artifact"):
    """One file that a run or logged model owns. Its bytes travel apart. ``sha256`` is hex."""

    owner: str  #: run | logged_model
    owner_id: str
    path: str  #: relative to the owner's artifact root
    size: int = 0
    sha256: str = ""

    @property
    def key(self) -> str:
        """Owner and path."""
        return f"{self.owner}/{self.owner_id}/{self.path}"


class RowRecord(Record, tag="row"):
    """A row of a table that has no record type of its own (settings of pages and the like), without its project.

    ``secret``: it has a secret, which is never carried and has to be entered again where the row goes.
    """

    table: str
    values: dict[str, Any]
    id: str = ""
    secret: bool = False

    @property
    def key(self) -> str:
        """Table and primary key."""
        return f"{self.table}/{self.id}"


#: Columns of rows by table that say how far the server is that they are on. They are not compared, and an import leaves them
#: alone where the row is known.
PROGRESS: dict[str, frozenset[str]] = {
    "evaluation_rules": frozenset({"seen_ns"}),
    "evaluations": frozenset({"status", "attempts", "error", "due_ns", "updated_ns"}),
    "evaluators": frozenset({"paused_ns", "paused_reason", "paused_message"}),
    "scheduled_exports": frozenset({"enabled", "done_ns", "next_ns", "error", "error_ns"}),
}

AnyRecord = (
    PriceRecord | ScoreConfigRecord | ExperimentRecord | RunRecord | LoggedModelRecord | MetricsRecord
    | RegisteredModelRecord | PromptRecord | DatasetRecord | DatasetItemRecord | MediaRecord | TraceRecord | SpansRecord
    | DatasetRunRecord | DatasetRunItemRecord | ScoreRecord | CommentRecord | RowRecord | ArtifactRecord
)  # fmt: skip

#: All kinds in the order in which they are carried. ``spans`` belong to ``trace``.
KINDS: tuple[str, ...] = (
    "price", "experiment", "score_config", "run", "logged_model", "metrics", "registered_model", "prompt", "dataset",
    "dataset_item", "trace", "dataset_run", "dataset_run_item", "score", "comment", "media", "row", "artifact",
)  # fmt: skip


class RecordPage(msgspec.Struct, kw_only=True):
    """Some records of one kind in a fixed order, and where to go on; None on the last page."""

    records: list[AnyRecord]
    next_cursor: str | None = None


def point_value(value: float) -> float | str:
    """A metric value as ``Point`` carries it."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
