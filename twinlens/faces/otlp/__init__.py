"""OTLP: traces, logs and metrics over HTTP (protobuf and JSON), and over gRPC as an option."""

from twinlens.faces.otlp.router import router

__all__ = ["router"]
