"""What a deployment points to: ``models:/name/3``, ``prompts:/name@label``, ``runs:/id/path`` … as kind, name, version, run."""

from __future__ import annotations

import re
from typing import NamedTuple

from twinlens.domain import deployment as rules
from twinlens.domain.deployment import Kind
from twinlens.domain.errors import InvalidArgument
from twinlens.domain.registry import parse_version
from twinlens.features.logged_models import LoggedModels
from twinlens.features.prompts import Prompts
from twinlens.features.registry import Registry
from twinlens.features.runs import Runs

_NAMED = re.compile(r"(models|prompts):/+([^/@]+)(?:/([^/@]+)|@([^/@]+))\Z")
_LOGGED = re.compile(r"models:/+(m-[0-9a-f]{32})\Z")
_OF_RUN = re.compile(r"runs:/+([^/]+)(/.*)?\Z")
_KINDS: dict[str, Kind] = {"models": "model", "prompts": "prompt"}


class Target(NamedTuple):
    """One version of one thing. ``run_id`` made it, where that is known."""

    kind: Kind
    subject: str
    version: str
    model_uri: str | None
    run_id: str | None


class Targets:
    """Finds what clients name. All methods block."""

    def __init__(self, registry: Registry, prompts: Prompts, logged_models: LoggedModels, runs: Runs) -> None:
        self._registry = registry
        self._prompts = prompts
        self._logged = logged_models
        self._runs = runs

    def resolve(
        self, project_id: str, name: str, kind: Kind | None, subject: str | None, version: str | None,
        uri: str | None, run_id: str | None,
    ) -> Target:  # fmt: skip
        """The version that is meant.

        Versions of models and prompts are numbers, ``latest``, or an alias or label behind ``@`` (which is looked up now: a
        release does not move with its alias). Versions of agents are free text.

        Args:
            name: of the deployment; the subject when nothing else names one.

        Raises:
            InvalidArgument: neither version nor URI, or they contradict.
            NotFound: no such model, prompt, version or run.
        """
        if kind is not None and kind not in rules.KINDS:
            raise InvalidArgument(f"kind must be one of {', '.join(rules.KINDS)}")
        if uri and (named := _NAMED.match(uri)):
            if version is not None:
                raise InvalidArgument(f"give a version or a URI, not both: {uri!r} names one already")
            _agree(kind, _KINDS[named[1]], uri)
            _agree(subject, named[2], uri)
            kind, subject = _KINDS[named[1]], named[2]
            version = named[3] or f"@{named[4]}"
        elif uri:
            return self._other(project_id, name, kind, subject, version, uri, run_id)
        if not version:
            raise InvalidArgument("say which version: `version`, or a `model_uri` like 'models:/name/3'")
        kind = kind or "agent"
        subject = rules.check_name(subject or name, "subject")
        made_by = run_id
        if kind == "model":
            version, made_by = self._model(project_id, subject, version, run_id)
        elif kind == "prompt":
            version = self._prompt(project_id, subject, version)
        if run_id:
            self._runs.get(project_id, run_id)
        return Target(kind, subject, rules.check_name(version, "version"), uri, made_by)

    def _model(self, project_id: str, name: str, version: str, run_id: str | None) -> tuple[str, str | None]:
        if version.startswith("@") or version == "latest":
            found = self._registry.by_alias(project_id, name, version.removeprefix("@"))
        else:
            found = self._registry.version(project_id, name, parse_version(version))
        return str(found.version), run_id or found.run_id

    def _prompt(self, project_id: str, name: str, version: str) -> str:
        if version.startswith("@") or version == "latest":
            found = self._prompts.get(project_id, name, label=version.removeprefix("@"), resolve=False)
        else:
            found = self._prompts.get(project_id, name, version=parse_version(version), resolve=False)
        return str(found.version)

    def _other(
        self, project_id: str, name: str, kind: Kind | None, subject: str | None, version: str | None, uri: str,
        run_id: str | None,
    ) -> Target:  # fmt: skip
        """Artifacts that no registry has numbered: the run, the logged model or the place stands for the version."""
        if logged := _LOGGED.match(uri):
            model = self._logged.get(project_id, logged[1])
            version, run_id = version or model.model_id, run_id or model.source_run_id
        elif of_run := _OF_RUN.match(uri):
            run_id, version = run_id or of_run[1], version or of_run[1][:8]
        if run_id:
            self._runs.get(project_id, run_id)
        return Target(
            kind or "model", rules.check_name(subject or name, "subject"), rules.check_name(version or uri, "version"),
            uri, run_id,
        )  # fmt: skip


def _agree(said: str | None, named: str, uri: str) -> None:
    if said is not None and said != named:
        raise InvalidArgument(f"'{said}' is not what {uri!r} names")
