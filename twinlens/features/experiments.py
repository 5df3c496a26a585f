"""Experiments: create, find, rename, tag, delete and restore.

Every project has experiment ``0``; it is made when the project is first touched. Names are unique in a project, deleted
experiments included. Deleting marks an experiment and all its runs; restoring revives all its runs. Messages are
MLflow's, whose programs show them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlparse

import sqlalchemy as sa

from twinlens.domain.artifact import experiment_location
from twinlens.domain.clock import now_ms
from twinlens.domain.errors import AlreadyExists, InvalidArgument, InvalidState, NotFound
from twinlens.domain.grant import Visible
from twinlens.domain.live import Notice
from twinlens.domain.run import Experiment, ExperimentPage, View
from twinlens.domain.run_rules import check_experiment_name, check_experiment_tags, experiment_number
from twinlens.features.live import LiveBus
from twinlens.features.run_scores import RunScores
from twinlens.query.visible import within
from twinlens.store.catalog.engine import Catalog
from twinlens.store.catalog.experiments import ExperimentTable, next_number
from twinlens.store.catalog.runs import RunTable
from twinlens.store.telemetry.query import Expr, Order, all_of

MAX_LOCATION = 2_048


class Experiments:
    """See the module's text. All methods block.

    Args:
        artifact_root: URI below which new experiments get their artifact location; default: through this server.
    """

    def __init__(
        self, catalog: Catalog, live: LiveBus, scores: RunScores, *, artifact_root: str | None = None,
        clock: Callable[[], int] = now_ms,
    ) -> None:  # fmt: skip
        self._catalog = catalog
        self._live = live
        self._scores = scores
        self._root = artifact_root
        self._clock = clock
        self._known: set[str] = set()  # projects that have their experiment 0

    # --- reading -----------------------------------------------------------------------------------------------
    def get(self, project_id: str, experiment_id: str) -> Experiment:
        """One experiment, deleted or not.

        Raises:
            InvalidArgument: the id is no number.
            NotFound: no such experiment in this project.
        """
        with self.read(project_id) as table:
            return _existing(table, experiment_number(experiment_id))

    def get_by_name(self, project_id: str, name: str) -> Experiment:
        """One experiment by name, deleted or not.

        Raises:
            NotFound: no such experiment in this project.
        """
        with self.read(project_id) as table:
            found = table.named(name)
        if found is None:
            raise NotFound(f"Could not find experiment with name '{name}'")
        return found

    def search(
        self, project_id: str, where: Expr | None = None, order: Sequence[Order] = (), *, view: View = "active",
        limit: int = 1_000, cursor: str | None = None, visible: Visible | None = None,
    ) -> ExperimentPage:  # fmt: skip
        """A page of experiments; newest first unless ``order`` says otherwise. ``visible``: only these.

        Raises:
            InvalidArgument: a field that experiments do not have, or a bad cursor.
        """
        with self.read(project_id) as table:
            return table.search(all_of(where, within(visible, "experiment_id")), order, view, limit, cursor)

    def list(self, project_id: str, view: View = "active") -> list[Experiment]:
        """All experiments, newest first, with ``run_count`` and ``last_run_ms``."""
        return self.search(project_id, view=view, limit=50_000).experiments

    # --- changing ----------------------------------------------------------------------------------------------
    def create(
        self, project_id: str, name: str, artifact_location: str | None = None, tags: Iterable[tuple[str, str]] = ()
    ) -> str:  # fmt: skip
        """Create an experiment and return its id.

        Raises:
            AlreadyExists: the name is taken, be it by a deleted experiment.
            InvalidArgument: name, location or a tag breaks a rule.
        """
        check_experiment_name(name)
        checked = check_experiment_tags(tags)
        location = _location(artifact_location) if artifact_location else None
        with self.write(project_id) as (connection, table):
            now = self._clock()
            number = str(next_number(connection, "experiment"))
            experiment = Experiment(
                experiment_id=number, name=name, artifact_location=location or experiment_location(self._root, project_id, number),
                created_ms=now, updated_ms=now, tags=checked,
            )  # fmt: skip
            if not table.add(experiment):
                raise AlreadyExists(f"Experiment(name={name}) already exists.")
        self._tell(project_id, number, "created", name=name)
        return number

    def rename(self, project_id: str, experiment_id: str, name: str) -> None:
        """Give an active experiment another name.

        Raises:
            NotFound, AlreadyExists, InvalidArgument.
            InvalidState: the experiment is deleted.
        """
        check_experiment_name(name)
        number = experiment_number(experiment_id)
        with self.write(project_id) as (_, table):
            if _existing(table, number).lifecycle != "active":
                raise InvalidState("Cannot rename a non-active experiment.")
            namesake = table.named(name)
            if namesake is not None and namesake.experiment_id != str(number):
                raise AlreadyExists(f"Experiment(name={name}) already exists.")
            table.set(number, name=name, updated_ms=self._clock())
        self._tell(project_id, str(number), "updated", name=name)

    def delete(self, project_id: str, experiment_id: str) -> None:
        """Mark an active experiment and all its runs as deleted.

        Raises:
            NotFound: no such active experiment.
        """
        now = self._clock()
        number = experiment_number(experiment_id)
        with self.write(project_id) as (connection, table):
            if table.lifecycle(number) != "active":
                raise _missing(number)
            table.set(number, lifecycle="deleted", updated_ms=now)
            gone = RunTable(connection, project_id).set_lifecycle_of_all(number, "deleted", now)
        self._scores.drop(project_id, gone)
        self._tell(project_id, str(number), "deleted")

    def restore(self, project_id: str, experiment_id: str) -> None:
        """Revive a deleted experiment and all its runs.

        Raises:
            NotFound: no such deleted experiment.
        """
        number = experiment_number(experiment_id)
        with self.write(project_id) as (connection, table):
            if table.lifecycle(number) != "deleted":
                raise _missing(number)
            table.set(number, lifecycle="active", updated_ms=self._clock())
            RunTable(connection, project_id).set_lifecycle_of_all(number, "active", None)
        self._tell(project_id, str(number), "restored")

    def set_tag(self, project_id: str, experiment_id: str, key: str, value: str) -> None:
        """Set a tag of an active experiment.

        Raises:
            NotFound: no such experiment.
            InvalidArgument: the tag breaks a rule, or the experiment is deleted.
        """
        tags = check_experiment_tags([(key, value)])
        with self.write(project_id) as (_, table):
            number = self._active(table, experiment_id)
            table.put_tags(number, tags)
        self._tell(project_id, str(number), "updated")

    def delete_tag(self, project_id: str, experiment_id: str, key: str) -> None:
        """Remove a tag of an active experiment.

        Raises:
            NotFound: no such experiment or tag.
            InvalidArgument: the experiment is deleted.
        """
        with self.write(project_id) as (_, table):
            number = self._active(table, experiment_id)
            if not table.drop_tag(number, key):
                raise NotFound(f"No tag with name: {key} in experiment with id {number}")
        self._tell(project_id, str(number), "updated")

    # --- for runs and other features -----------------------------------------------------------------------------
    @contextmanager
    def read(self, project_id: str) -> Generator[ExperimentTable]:
        """The experiments of a project that has its experiment 0, inside a read transaction."""
        self.ensure_default(project_id)
        with self._catalog.read() as connection:
            yield ExperimentTable(connection, project_id)

    @contextmanager
    def write(self, project_id: str) -> Generator[tuple[sa.Connection, ExperimentTable]]:
        """A write transaction with the experiments of a project that has its experiment 0."""
        self.ensure_default(project_id)
        with self._catalog.write() as connection:
            yield connection, ExperimentTable(connection, project_id)

    def ensure_default(self, project_id: str) -> None:
        """Make sure that the project has experiment 0."""
        if project_id not in self._known:
            with self._catalog.write() as connection:
                ExperimentTable(connection, project_id).add_default(
                    experiment_location(self._root, project_id, "0"), self._clock()
                )
            self._known.add(project_id)

    def forget(self, project_id: str) -> None:
        """The project has been removed; one of the same id may be created again."""
        self._known.discard(project_id)

    @staticmethod
    def _active(table: ExperimentTable, experiment_id: str) -> int:
        number = experiment_number(experiment_id)
        lifecycle = table.lifecycle(number)
        if lifecycle is None:
            raise _missing(number)
        check_active(number, lifecycle)
        return number

    def _tell(self, project_id: str, experiment_id: str, change: str, **data: str) -> None:
        if self._live.watched:
            notice = Notice(
                kind="experiment", project_id=project_id, id=experiment_id, data={"change": change, **data}
            )  # fmt: skip
            self._live.publish([notice])


def check_active(number: int | str, lifecycle: str) -> None:
    """Raise ``InvalidArgument`` unless an experiment is active."""
    if lifecycle != "active":
        raise InvalidArgument(
            f"The experiment {number} must be in the 'active' state. Current state is {lifecycle}."
        )  # fmt: skip


def _missing(number: int) -> NotFound:
    return NotFound(f"No Experiment with id={number} exists")


def _existing(table: ExperimentTable, number: int) -> Experiment:
    found = table.get(number)
    if found is None:
        raise _missing(number)
    return found


def append_path(uri: str, path: str) -> str:
    """``uri/path``; a query or fragment of the URI stays at the end."""
    cut = min((uri.find(mark) for mark in "?#" if mark in uri), default=len(uri))
    return f"{uri[:cut].rstrip('/')}/{path}{uri[cut:]}"


def _location(uri: str) -> str:
    """An artifact location as it is stored: local paths become absolute ones of this machine.

    Raises:
        InvalidArgument: ``..`` in it, a fragment, or a scheme that stands for no place.
    """
    parts = urlparse(uri)
    if parts.fragment or parts.params:
        raise InvalidArgument("'artifact_location' URL can't include fragments or params.")
    if parts.scheme in ("runs", "models"):
        raise InvalidArgument(f"Artifact location cannot be a {parts.scheme}:/ URI. Given: '{uri}'")
    if len(uri) > MAX_LOCATION:
        raise InvalidArgument(f"Invalid artifact path length. It cannot be greater than {MAX_LOCATION}")
    if ".." in re.split(r"[/\\?&=]", unquote(unquote(uri))):
        raise InvalidArgument(f"Invalid artifact_location: '{uri}' must not contain '..'")
    if parts.scheme in ("", "file") and not parts.path.startswith("/"):
        path = Path(parts.path).absolute().as_posix()
        return f"file://{path}" if parts.scheme else path
    return uri
