"""Filled below."""

from twinlens.faces.mlflow.wire import RpcTable

rpcs = RpcTable()
