"""Deployments: declare what serves where, promote it, roll it back, retire it.

Every change is one catalog transaction that takes the next release number first, so two people who press a button at the
same time get two releases, or one of them ``Conflict`` if they say which release they were looking at.
"""

from __future__ import annotations

from typing import Any

import msgspec

from twinlens.domain import deployment as rules
from twinlens.domain.clock import Clock, now_ns
from twinlens.domain.deployment import Action, Deployment, DeploymentPage, Environment, Kind, Release, ReleasePage
from twinlens.domain.errors import AlreadyExists, Conflict, InvalidArgument, InvalidState, NotFound
from twinlens.domain.ids import new_hex
from twinlens.domain.live import Notice
from twinlens.features.deployment_targets import Target, Targets
from twinlens.features.live import LiveBus
from twinlens.store.catalog.deployments import DeploymentTable
from twinlens.store.catalog.engine import Catalog

_WHOLE_HISTORY = 1_000


class Change(msgspec.Struct, kw_only=True):
    """What a client says about a release. None: not said; what served before goes on."""

    version: str | None = None
    model_uri: str | None = None
    run_id: str | None = None
    url: str | None = None  #: empty takes it away
    config: dict[str, Any] | None = None
    note: str = ""
    by: str = ""
    expected_release: int | None = None  #: refuse if another release serves by now


class Deployments:
    """See the module's text. All methods block."""

    def __init__(self, catalog: Catalog, targets: Targets, live: LiveBus, clock: Clock = now_ns) -> None:
        self._catalog = catalog
        self._targets = targets
        self._live = live
        self._clock = clock

    # --- reading -----------------------------------------------------------------------------------------------
    def get(self, project_id: str, deployment_id: str) -> Deployment:
        """One deployment by its id or as ``name@environment`` (``name`` alone: in production).

        Raises:
            NotFound: no such deployment.
        """
        with self._catalog.read() as connection:
            return _find(DeploymentTable(connection, project_id), deployment_id)

    def list(self, project_id: str, **conditions: Any) -> DeploymentPage:
        """By environment and name; see ``DeploymentTable.page`` for the conditions.

        Raises:
            InvalidArgument: a cursor of another list.
        """
        with self._catalog.read() as connection:
            return DeploymentTable(connection, project_id).page(**conditions)

    def history(
        self, project_id: str, deployment_id: str, *, limit: int = 100, cursor: str | None = None
    ) -> ReleasePage:
        """Releases, newest first.

        Raises:
            NotFound: no such deployment.
            InvalidArgument: a cursor of another list.
        """
        with self._catalog.read() as connection:
            table = DeploymentTable(connection, project_id)
            return table.history(_find(table, deployment_id).deployment_id, limit, cursor)

    # --- changing ----------------------------------------------------------------------------------------------
    def create(
        self, project_id: str, name: str, environment: str, change: Change, *, kind: Kind | None = None,
        subject: str | None = None,
    ) -> Deployment:  # fmt: skip
        """Deploy something new. The name of one that was retired may be used again; its history goes on.

        Args:
            change: must say ``version`` or ``model_uri``.
            kind: as the URI says, else ``agent``.
            subject: name of the model, prompt or agent; by default what the URI says, else ``name``.

        Raises:
            AlreadyExists: the environment has a deployment of that name.
            InvalidArgument: a name breaks a rule, or no version is said.
            NotFound: no such model, prompt, version or run.
        """
        rules.check_name(name, "name")
        rules.check_environment(environment)
        target = self._targets.resolve(project_id, name, kind, subject, change.version, change.model_uri, change.run_id)
        return self._place(project_id, name, environment, target, change, "create")

    def update(self, project_id: str, deployment_id: str, change: Change) -> Deployment:
        """Deploy another version, or change address or configuration: a new release in each case.

        Raises:
            NotFound: no such deployment, model, prompt, version or run.
            InvalidState: it is retired.
            Conflict: another release serves by now.
            InvalidArgument: nothing to change.
        """
        before = self.get(project_id, deployment_id)
        target = None
        if change.version is not None or change.model_uri is not None:
            target = self._targets.resolve(
                project_id, before.name, before.kind, before.subject, change.version, change.model_uri, change.run_id
            )
            if (target.kind, target.subject) != (before.kind, before.subject):
                raise InvalidArgument(
                    f"'{before.name}' deploys the {before.kind} '{before.subject}'; create another deployment for the "
                    f"{target.kind} '{target.subject}'"
                )
        elif change.url is None and change.config is None:
            raise InvalidArgument("nothing to change: give a version, a model URI, a URL or a configuration")
        return self._release(project_id, before, target, change, "update")

    def promote(
        self, project_id: str, deployment_id: str, environment: str, change: Change, name: str | None = None
    ) -> Deployment:
        """Let what serves here serve in ``environment`` too, under the same name or ``name``; that deployment.

        ``change.expected_release`` is about the deployment that is promoted.

        Raises:
            NotFound: no such deployment.
            InvalidState: it is retired.
            InvalidArgument: it is there already, or something else has that name there.
            Conflict: another release serves by now.
        """
        source = self.get(project_id, deployment_id)
        release = source.release
        _require_serving(source)
        _expect(change, release.number)
        rules.check_environment(environment)
        if environment == source.environment:
            raise InvalidArgument(f"'{source.name}' is in {environment} already; name another environment")
        target = Target(source.kind, source.subject, release.version, release.model_uri, release.run_id)
        told = msgspec.structs.replace(
            change, config=release.config if change.config is None else change.config, expected_release=None
        )
        return self._place(
            project_id, name or source.name, environment, target, told, "promote", from_environment=source.environment
        )

    def rollback(self, project_id: str, deployment_id: str, change: Change, to: int | None = None) -> Deployment:
        """Bring back release ``to``, by default the newest one before with another version; rolling back again goes on.

        Raises:
            NotFound: no such deployment or release.
            InvalidState: it is retired, or there is nothing to go back to.
            Conflict: another release serves by now.
        """
        deployment = self.get(project_id, deployment_id)
        _require_serving(deployment)
        key = deployment.deployment_id
        with self._catalog.write() as connection:
            table = DeploymentTable(connection, project_id)
            number = _number(table, key, change, self._clock())
            history = table.history(key, _WHOLE_HISTORY).releases
            if to is None:
                wanted = rules.rollback_target(history)
                if wanted is None:
                    raise InvalidState(f"'{deployment.name}' has no earlier version to roll back to")
            else:
                wanted = next((release for release in history if release.number == to), None)
                if wanted is None or wanted.action == "retire":
                    raise NotFound(f"'{deployment.name}' has no release {to} to roll back to")
                if wanted.number == history[0].number:
                    raise InvalidState(f"release {to} of '{deployment.name}' serves already")
            restored = wanted.number if wanted.restores is None else wanted.restores
            self._write(
                table, deployment, number, "rollback",
                Target(deployment.kind, deployment.subject, wanted.version, wanted.model_uri, wanted.run_id),
                msgspec.structs.replace(change, url=change.url or wanted.url or "", config=wanted.config),
                restores=restored,
            )  # fmt: skip
        return self._told(project_id, key, "rollback")

    def retire(self, project_id: str, deployment_id: str, *, by: str = "", note: str = "") -> Deployment:
        """Say that it serves no more. Its history stays; doing it again changes nothing.

        Raises:
            NotFound: no such deployment.
        """
        deployment = self.get(project_id, deployment_id)
        if deployment.retired:
            return deployment
        with self._catalog.write() as connection:
            table = DeploymentTable(connection, project_id)
            number = _number(table, deployment.deployment_id, Change(), self._clock())
            self._write(table, deployment, number, "retire", None, Change(by=by, note=note), retired=True)
        return self._told(project_id, deployment.deployment_id, "retire")

    def report_health(self, project_id: str, deployment_id: str, health: str, message: str = "") -> Deployment:
        """Set the health; no release.

        Raises:
            NotFound: no such deployment.
            InvalidArgument: no such health.
        """
        if health not in rules.HEALTHS:
            raise InvalidArgument(f"health must be one of {', '.join(rules.HEALTHS)}")
        deployment = self.get(project_id, deployment_id)
        now = self._clock()
        with self._catalog.write() as connection:
            DeploymentTable(connection, project_id).change(
                deployment.deployment_id, health=health, health_message=message[: rules.MAX_NOTE], health_ns=now,
                updated_ns=now,
            )  # fmt: skip
        return self._told(project_id, deployment.deployment_id, "health")

    # --- environments ------------------------------------------------------------------------------------------
    def environments(self, project_id: str) -> list[Environment]:
        """All environments, by name."""
        with self._catalog.read() as connection:
            return DeploymentTable(connection, project_id).environments()

    def environment(self, project_id: str, name: str) -> Environment:
        """One environment.

        Raises:
            NotFound: no such environment.
        """
        for found in self.environments(project_id):
            if found.name == name:
                return found
        raise NotFound(f"environment '{name}' not found")

    def create_environment(self, project_id: str, name: str, config: dict[str, Any] | None = None) -> Environment:
        """Add an environment that nothing is deployed into yet.

        Raises:
            AlreadyExists: there is one of that name.
            InvalidArgument: the name breaks a rule, or the configuration is too large.
        """
        rules.check_environment(name)
        now = self._clock()
        made = Environment(name=name, config=_config(config or {}), created_ns=now, updated_ns=now)
        with self._catalog.write() as connection:
            if not DeploymentTable(connection, project_id).add_environment(made):
                raise AlreadyExists(f"environment '{name}' exists already")
        return made

    def update_environment(self, project_id: str, name: str, config: dict[str, Any]) -> Environment:
        """Replace the configuration of an environment.

        Raises:
            NotFound: no such environment.
            InvalidArgument: the configuration is too large.
        """
        found = self.environment(project_id, name)
        changed = msgspec.structs.replace(found, config=_config(config), updated_ns=self._clock())
        with self._catalog.write() as connection:
            DeploymentTable(connection, project_id).set_environment(changed)
        return changed

    def delete_environment(self, project_id: str, name: str) -> None:
        """Remove an environment into which nothing is deployed.

        Raises:
            NotFound: no such environment.
            InvalidState: something serves there.
        """
        with self._catalog.write() as connection:
            table = DeploymentTable(connection, project_id)
            serving = table.page(environment=name, limit=1).deployments
            if serving:
                raise InvalidState(f"'{serving[0].name}' serves in {name}; retire what is deployed there first")
            if not table.drop_environment(name):
                raise NotFound(f"environment '{name}' not found")

    # --- writing -----------------------------------------------------------------------------------------------
    def _place(
        self, project_id: str, name: str, environment: str, target: Target, change: Change, action: Action,
        from_environment: str | None = None,
    ) -> Deployment:  # fmt: skip
        """A new deployment, or a new release of the one that has the name there."""
        now = self._clock()
        with self._catalog.write() as connection:
            table = DeploymentTable(connection, project_id)
            table.add_environment(Environment(name=environment, created_ns=now, updated_ns=now))
            found = table.find(environment, name)
            if found is None:
                found = Deployment(
                    deployment_id=new_hex(), name=name, environment=environment, kind=target.kind,
                    subject=target.subject, created_ns=now, updated_ns=now,
                    release=Release(
                        number=1, action=action, version=target.version, model_uri=target.model_uri,
                        run_id=target.run_id, url=rules.check_url(change.url), config=_config(change.config or {}),
                        note=change.note[: rules.MAX_NOTE], by=change.by[: rules.MAX_NAME], at_ns=now,
                        from_environment=from_environment,
                    ),
                )  # fmt: skip
                if not table.add(found):
                    raise Conflict(f"'{name}' was deployed to {environment} by somebody else just now")
            else:
                if not found.retired and action == "create":
                    raise AlreadyExists(
                        f"'{name}' is deployed to {environment} already; update it or choose another name"
                    )
                if not found.retired and (found.kind, found.subject) != (target.kind, target.subject):
                    raise InvalidArgument(
                        f"'{name}' in {environment} deploys the {found.kind} '{found.subject}', not the {target.kind} "
                        f"'{target.subject}'; choose another name"
                    )
                number = _number(table, found.deployment_id, Change(), now)
                self._write(
                    table, found, number, action, target, change, from_environment=from_environment,
                    retired=False, kind=target.kind, subject=target.subject,
                )  # fmt: skip
        return self._told(project_id, found.deployment_id, action)

    def _release(
        self, project_id: str, before: Deployment, target: Target | None, change: Change, action: Action
    ) -> Deployment:
        _require_serving(before)
        with self._catalog.write() as connection:
            table = DeploymentTable(connection, project_id)
            number = _number(table, before.deployment_id, change, self._clock())
            self._write(table, before, number, action, target, change)
        return self._told(project_id, before.deployment_id, action)

    def _write(
        self, table: DeploymentTable, before: Deployment, number: int, action: Action, target: Target | None,
        change: Change, *, from_environment: str | None = None, restores: int | None = None, **columns: Any,
    ) -> None:  # fmt: skip
        """Add the release; what is not said stays. The health of another version is not known yet."""
        old = before.release
        release = Release(
            number=number, action=action, from_environment=from_environment, restores=restores,
            version=target.version if target else old.version, model_uri=target.model_uri if target else old.model_uri,
            run_id=target.run_id if target else old.run_id,
            url=old.url if change.url is None else rules.check_url(change.url),
            config=old.config if change.config is None else _config(change.config),
            note=change.note[: rules.MAX_NOTE], by=change.by[: rules.MAX_NAME], at_ns=self._clock(),
        )  # fmt: skip
        if release.version != old.version:
            columns |= {"health": "unknown", "health_message": "", "health_ns": None}
        table.release(before.deployment_id, release, **columns)

    def _told(self, project_id: str, deployment_id: str, change: str) -> Deployment:
        found = self.get(project_id, deployment_id)
        if self._live.watched:
            data = {"name": found.name, "environment": found.environment, "change": change}
            self._live.publish([Notice(kind="deployment", project_id=project_id, id=deployment_id, data=data)])
        return found


def _find(table: DeploymentTable, key: str) -> Deployment:
    found = table.get(key)
    if found is None:
        name, _, environment = key.rpartition("@")
        found = table.find(environment, name) if name else table.find(rules.PRODUCTION, key)
    if found is None:
        raise NotFound(f"deployment '{key}' not found; name it by its id or as name@environment")
    return found


def _number(table: DeploymentTable, deployment_id: str, change: Change, now_ns: int) -> int:
    number = table.next_number(deployment_id, now_ns)
    if number is None:
        raise NotFound("the deployment is gone")
    _expect(change, number - 1)
    return number


def _expect(change: Change, number: int) -> None:
    if change.expected_release is not None and change.expected_release != number:
        raise Conflict(f"release {number} serves by now, not {change.expected_release}; look again and repeat")


def _require_serving(deployment: Deployment) -> None:
    if deployment.retired:
        raise InvalidState(f"'{deployment.name}' in {deployment.environment} is retired; create it again to go on")


def _config(config: dict[str, Any]) -> dict[str, Any]:
    if len(msgspec.json.encode(config)) > rules.MAX_CONFIG:
        raise InvalidArgument(f"config is larger than {rules.MAX_CONFIG >> 10} KiB")
    return config
