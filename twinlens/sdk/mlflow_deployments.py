"""MLflow's deployments client for Twinlens: ``mlflow.deployments.get_deploy_client("twinlens://host:port")``.

Found by MLflow through the entry point ``mlflow.deployments``. An endpoint of MLflow's interface is an environment here, so
``create_deployment("churn", "models:/churn/3", endpoint="staging")`` deploys to staging; without one, to production.
Interface as in MLflow 3.18 (``mlflow/deployments/base.py``).
"""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import parse_qs, urlsplit

from mlflow.deployments import BaseDeploymentClient, PredictionsResponse  # pyright: ignore[reportMissingImports]
from mlflow.exceptions import MlflowException  # pyright: ignore[reportMissingImports]

from twinlens.sdk import deployments
from twinlens.sdk.server import Server, ServerError, part

_CODES = {
    0: "TEMPORARILY_UNAVAILABLE", 400: "INVALID_PARAMETER_VALUE", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED",
    404: "RESOURCE_DOES_NOT_EXIST", 409: "RESOURCE_ALREADY_EXISTS",
}  # fmt: skip
#: Keys of ``config`` that are fields of a deployment; the others are kept as its configuration.
_FIELDS = ("version", "kind", "subject", "run_id", "url", "note")
PRODUCTION = "production"


class TwinlensDeploymentClient(BaseDeploymentClient):  # pyright: ignore[reportUntypedBaseClass]
    """Declares deployments on a Twinlens server; it does not start or stop what serves."""

    def __init__(self, target_uri: str) -> None:
        super().__init__(target_uri)
        parts = urlsplit(target_uri)
        secure = parse_qs(parts.query).get("scheme") == ["https"] or parts.netloc.endswith(":443")
        url = f"{'https' if secure else 'http'}://{parts.netloc}" if parts.netloc else None
        self._server = _told(
            Server, url, project=parts.path.strip("/") if parts.netloc and parts.path.strip("/") else None
        )

    # --- deployments -------------------------------------------------------------------------------------------
    def create_deployment(
        self, name: str, model_uri: str | None, flavor: str | None = None, config: dict[str, Any] | None = None,
        endpoint: str | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """Deploy ``model_uri`` (``models:/…``, ``prompts:/…``, ``runs:/…``) or, for agents, ``config["version"]``."""
        name, environment = _place(name, endpoint, config)
        return _row(_told(
            deployments.create, name, environment=environment, model_uri=model_uri or None, server=self._server,
            **_fields(config, flavor),
        ))  # fmt: skip

    def update_deployment(
        self, name: str, model_uri: str | None = None, flavor: str | None = None,
        config: dict[str, Any] | None = None, endpoint: str | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """Deploy another version, or change address or configuration."""
        fields = _fields(config, flavor)
        for fixed in ("kind", "subject"):
            fields.pop(fixed, None)
        if not fields["config"]:
            fields["config"] = None
        key = _key(name, endpoint, config)
        return _row(_told(deployments.update, key, model_uri=model_uri, server=self._server, **fields))

    def delete_deployment(self, name: str, config: dict[str, Any] | None = None, endpoint: str | None = None) -> None:
        """Retire; the history stays. Deleting what is not there is no error, as MLflow's interface asks."""
        try:
            _told(deployments.retire, _key(name, endpoint, config), server=self._server)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise

    def list_deployments(self, endpoint: str | None = None) -> list[dict[str, Any]]:
        """What serves, in one environment or all."""
        return [_row(found) for found in _told(deployments.list, environment=endpoint, server=self._server)]

    def get_deployment(self, name: str, endpoint: str | None = None) -> dict[str, Any]:
        """One deployment, by name (in production unless ``endpoint`` or ``name@environment`` says otherwise) or id."""
        return _row(_told(deployments.get, _key(name, endpoint, None), server=self._server))

    def predict(self, deployment_name: str | None = None, inputs: Any = None, endpoint: str | None = None) -> Any:
        """Call the deployment's URL with MLflow's scoring protocol (``/invocations``).

        Raises:
            MlflowException: it has no URL, or what answers there refuses.
        """
        if deployment_name is None:
            raise MlflowException.invalid_parameter_value("deployment_name is needed: which deployment to call")
        found = self.get_deployment(deployment_name, endpoint)
        if not found["url"]:
            raise MlflowException.invalid_parameter_value(
                f"deployment '{found['name']}' in {found['environment']} has no URL, so there is nothing to call. Set one: "
                f"client.update_deployment('{found['name']}', endpoint='{found['environment']}', "
                "config={'url': 'http://host:port'})"
            )
        return PredictionsResponse.from_json(_invoke(found["url"], inputs))

    # --- endpoints (environments) --------------------------------------------------------------------------------
    def create_endpoint(self, name: str, config: dict[str, Any] | None = None) -> dict[str, Any]:
        """Create an environment."""
        return self._ask("POST", "/environments", {"name": name, "config": config or {}})

    def update_endpoint(self, endpoint: str, config: dict[str, Any] | None = None) -> dict[str, Any]:
        """Replace the configuration of an environment."""
        return self._ask("PATCH", f"/environments/{part(endpoint)}", {"config": config or {}})

    def delete_endpoint(self, endpoint: str) -> None:
        """Delete an environment in which nothing serves."""
        self._ask("DELETE", f"/environments/{part(endpoint)}")

    def list_endpoints(self) -> list[dict[str, Any]]:
        """All environments."""
        return self._ask("GET", "/environments")["environments"]

    def get_endpoint(self, endpoint: str) -> dict[str, Any]:
        """One environment."""
        return self._ask("GET", f"/environments/{part(endpoint)}")

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        return _told(self._server.ask, method, path, body)


def run_local(
    target: str, name: str, model_uri: str, flavor: str | None = None, config: dict[str, Any] | None = None
) -> None:
    """Serve a model on this machine with ``mlflow models serve`` and declare it in the environment ``local`` until it ends."""
    client = TwinlensDeploymentClient(target)
    port = str((config or {}).get("port", 5002))
    told = (config or {}) | {"url": f"http://127.0.0.1:{port}"}
    client.delete_deployment(name, endpoint="local")
    client.create_deployment(name, model_uri, flavor, told, endpoint="local")
    serve = [sys.executable, "-m", "mlflow", "models", "serve", "-m", model_uri, "-p", port, "--env-manager", "local"]
    try:
        subprocess.run(serve, check=True)
    except KeyboardInterrupt:
        pass
    except subprocess.CalledProcessError as error:
        raise MlflowException(f"the model server ended with status {error.returncode}") from None
    finally:
        client.delete_deployment(name, endpoint="local")


def target_help() -> str:
    """What ``mlflow deployments help -t twinlens`` prints."""
    return """Targets: twinlens (server from TWINLENS_URL or MLFLOW_TRACKING_URI), twinlens://host:port,
twinlens://host:port/PROJECT, twinlens://host:port?scheme=https.
Key pair of a secured server: TWINLENS_PUBLIC_KEY and TWINLENS_SECRET_KEY.

A deployment records which version of a model, prompt or agent serves in which environment (MLflow's endpoint; production
unless said). Nothing is started or stopped by it, except by run-local.

Keys of config: url (where it answers; predict calls it), version (for agents), kind (model, prompt, agent), subject (name
of the model, if it is not the deployment's), run_id, note, environment. Other keys are kept with the release."""


def _told(call: Any, *args: Any, **kwargs: Any) -> Any:
    """``call`` with the server's errors as MLflow's."""
    try:
        return call(*args, **kwargs)
    except ServerError as error:
        raise MlflowException(error.message, error_code=_name(error.status)) from None


def _name(status: int) -> Any:
    from mlflow.protos import databricks_pb2  # pyright: ignore[reportMissingImports]

    return getattr(databricks_pb2, _CODES.get(status, "INTERNAL_ERROR"))


def _place(name: str, endpoint: str | None, config: dict[str, Any] | None) -> tuple[str, str]:
    named, _, at = name.rpartition("@")
    environment = endpoint or (config or {}).get("environment") or (at if named else None) or PRODUCTION
    return named or name, environment


def _key(name: str, endpoint: str | None, config: dict[str, Any] | None) -> str:
    """How the native API names it; an id stays an id."""
    if endpoint is None and not (config or {}).get("environment"):
        return name
    return "@".join(_place(name, endpoint, config))


def _fields(config: dict[str, Any] | None, flavor: str | None) -> dict[str, Any]:
    given = dict(config or {})
    given.pop("environment", None)
    fields = {name: given.pop(name) for name in _FIELDS if name in given}
    if flavor:
        given["flavor"] = flavor
    return fields | {"config": given}


def _row(found: dict[str, Any]) -> dict[str, Any]:
    release = found["release"]
    return found | {
        "endpoint": found["environment"], "model_uri": release["model_uri"], "version": release["version"],
        "flavor": release["config"].get("flavor"), "url": release["url"], "status": "retired" if found["retired"] else found["health"],
    }  # fmt: skip


def _invoke(url: str, inputs: Any) -> str:
    if hasattr(inputs, "to_dict"):  # a DataFrame
        body: Any = {"dataframe_split": json.loads(inputs.to_json(orient="split"))}
    else:
        body = {"inputs": inputs.tolist() if hasattr(inputs, "tolist") else inputs}
    address = url if url.rstrip("/").endswith("/invocations") else url.rstrip("/") + "/invocations"
    request = urllib.request.Request(  # noqa: S310 - the server lets only http and https through
        address, json.dumps(body, default=str).encode(), {"Content-Type": "application/json"}, method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            return answer.read().decode()
    except urllib.error.HTTPError as error:
        raise MlflowException(
            f"{address} answered {error.code}: {error.read().decode(errors='replace')[:500]}"
        ) from None
    except OSError as error:
        raise MlflowException(f"{address} cannot be reached: {getattr(error, 'reason', error)}") from None
