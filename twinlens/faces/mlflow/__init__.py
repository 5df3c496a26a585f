"""MLflow's REST protocol: what unmodified MLflow 2 and 3 clients and MLflow's browser UI call."""

from twinlens.faces.mlflow.router import router

__all__ = ["router"]
