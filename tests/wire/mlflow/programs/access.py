"""Workspaces, users and permissions through MLflow's own clients; what each step came to, as JSON.

Arguments: address of the server. An administrator's name and password are in the environment.
"""

import json
import os
import sys
from pathlib import Path
from types import ModuleType

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

# The client lives in the package of MLflow's own server application, which needs more than the client does.
package = ModuleType("mlflow.server.auth")
package.__path__ = [str(Path(mlflow.__path__[0], "server", "auth"))]
sys.modules["mlflow.server.auth"] = package
from mlflow.server.auth.client import AuthServiceClient  # noqa: E402

url = sys.argv[1]
ADMIN = (os.environ["MLFLOW_TRACKING_USERNAME"], os.environ["MLFLOW_TRACKING_PASSWORD"])
told = {}
mlflow.set_tracking_uri(url)
auth = AuthServiceClient(url)


def become(name, password="correct horse"):
    """Go on as another user."""
    os.environ["MLFLOW_TRACKING_USERNAME"], os.environ["MLFLOW_TRACKING_PASSWORD"] = name, password


def outcome(function, *args, **kwargs):
    """``ok``, or the error's code."""
    try:
        function(*args, **kwargs)
        return "ok"
    except MlflowException as error:
        return error.error_code


def may(experiment_id, run_id):
    """What the current user may do with an experiment."""
    client = MlflowClient(url)
    return [
        outcome(client.get_experiment, experiment_id),
        outcome(client.log_metric, run_id, "m", 1.0),
        outcome(client.search_runs, [experiment_id]),
        outcome(client.set_experiment_tag, experiment_id, "k", "v"),
    ]


# --- workspaces
made = mlflow.create_workspace("team-a", description="Team A")
told["made"] = [made.name, made.description]
told["again"] = outcome(mlflow.create_workspace, "team-a")
told["updated"] = mlflow.update_workspace("team-a", description="A").description
told["listed"] = sorted(w.name for w in mlflow.list_workspaces())
mlflow.set_workspace("team-a")
mlflow.set_experiment("in-a")
told["in a"] = sorted(e.name for e in mlflow.search_experiments())
mlflow.set_workspace("default")
told["in default"] = sorted(e.name for e in mlflow.search_experiments())
told["restricted"] = outcome(mlflow.delete_workspace, "team-a", mode="RESTRICT")
told["moved"] = outcome(mlflow.delete_workspace, "team-a", mode="SET_DEFAULT")
told["cascaded"] = outcome(mlflow.delete_workspace, "team-a", mode="CASCADE")
told["gone"] = outcome(mlflow.get_workspace, "team-a")

# --- users
user = auth.create_user("vera", "correct horse")
told["user"] = [user.username, user.is_admin]
told["taken"] = outcome(auth.create_user, "vera", "correct horse")
told["weak"] = outcome(auth.create_user, "wim", "short")
auth.create_user("nora", "correct horse")
client = MlflowClient(url)
open_to_all, private = client.create_experiment("open"), client.create_experiment("private")
runs = {e: client.create_run(e).info.run_id for e in (open_to_all, private)}
client.create_registered_model("model-a")
client.create_registered_model("model-b")

become("vera")  # a viewer
told["viewer"] = may(open_to_all, runs[open_to_all])
told["viewer creates users"] = outcome(auth.create_user, "x", "correct horse")
told["viewer asks for others"] = outcome(auth.get_user, "nora")
told["viewer asks for herself"] = auth.get_user("vera").username
told["viewer grants"] = outcome(auth.grant_user_permission, "vera", "experiment", private, "MANAGE")
told["wrong password"] = outcome(auth.update_user_password, "vera", "another horse", "wrong horse")
told["password"] = outcome(auth.update_user_password, "vera", "another horse", "correct horse")
told["old password"] = outcome(auth.get_user, "vera")
become("vera", "another horse")
told["new password"] = outcome(auth.get_user, "vera")

become(*ADMIN)
auth.grant_user_permission("vera", "experiment", private, "EDIT")
auth.grant_user_permission("vera", "experiment", open_to_all, "DENY")
told["granted twice"] = outcome(auth.grant_user_permission, "vera", "experiment", private, "MANAGE")
told["effective"] = auth.get_user_permission("vera", "experiment", private).permission
become("vera", "another horse")
told["granted"] = may(private, runs[private])
told["denied"] = may(open_to_all, runs[open_to_all])
told["found"] = [run.info.experiment_id == private for run in MlflowClient(url).search_runs([open_to_all, private])]
told["no deletion by EDIT"] = outcome(MlflowClient(url).delete_run, runs[private])
told["seen"] = sorted(e.name for e in mlflow.search_experiments())
become(*ADMIN)
auth.revoke_user_permission("vera", "experiment", private)
auth.revoke_user_permission("vera", "experiment", open_to_all)
become("vera", "another horse")
told["revoked"] = may(private, runs[private])

# --- roles
become(*ADMIN)
role = auth.create_role("default", "curators", "They curate")
told["role"] = [role.name, role.workspace, role.description]
permission = auth.add_role_permission(role.id, "registered_model", "model-a", "READ")
told["added twice"] = outcome(auth.add_role_permission, role.id, "registered_model", "model-a", "EDIT")
told["bad type"] = outcome(auth.add_role_permission, role.id, "planet", "*", "READ")
told["bad permission"] = outcome(auth.add_role_permission, role.id, "experiment", "*", "NO_PERMISSIONS")
permission = auth.update_role_permission(permission.id, "MANAGE")
told["updated permission"] = permission.permission
auth.assign_role("nora", role.id)
told["assigned twice"] = outcome(auth.assign_role, "nora", role.id)
told["nothing changed"] = outcome(auth.update_role, role.id)
told["members"] = len(auth.list_role_users(role.id))
told["roles of nora"] = [r.name for r in auth.list_user_roles("nora")]
told["all roles"] = [r.name for r in auth.list_all_roles() if not r.name.startswith("__")]
told["renamed"] = auth.update_role(role.id, name="keepers").name
told["read"] = [auth.get_role(role.id).name, len(auth.list_role_permissions(role.id))]
auth.remove_role_permission(permission.id)
auth.unassign_role("nora", role.id)
told["emptied"] = [len(auth.list_role_permissions(role.id)), len(auth.list_role_users(role.id))]
auth.delete_role(role.id)
told["role gone"] = outcome(auth.get_role, role.id)
auth.update_user_admin("vera", True)
told["admin"] = auth.get_user("vera").is_admin
auth.delete_user("vera")
told["user gone"] = outcome(auth.get_user, "vera")
told["workspace"] = MlflowClient(url).get_workspace("default").name
print(json.dumps(told))
