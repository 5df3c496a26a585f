"""A Twinlens server: everything the other two get, over one address."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twinlens.sdk.backends.base import PROTOBUF, Remote, basic, tag_list
from twinlens.sdk.backends.langfuse import merge_tags
from twinlens.sdk.backends.mlflow import Mlflow

#: Where ``twinlens serve`` listens.
LOCAL = "http://127.0.0.1:5001"


class Twinlens(Mlflow):
    """``twinlens: {url, public_key, secret_key, experiment_name, log_*}``. Runs are made when an experiment is named."""

    name = "twinlens"

    def __init__(self, options: Mapping[str, Any], environ: Mapping[str, str], source: str = "") -> None:
        url = str(options.get("url") or environ.get("TWINLENS_URL") or LOCAL)
        public = options.get("public_key") or environ.get("TWINLENS_PUBLIC_KEY") or ""
        secret = options.get("secret_key") or environ.get("TWINLENS_SECRET_KEY") or ""
        Remote.__init__(self, url, public, basic(public, secret) if public and secret else {})
        self._setup(options, source, options.get("experiment_name"))
        if self.experiment is None:
            self._wanted = []
        self._labels = tag_list(options.get("tags"))
        self._twinlens = True

    def _translated(self, request: Any) -> bytes:
        from twinlens.sdk.encode import spans_of

        if not self._labels:
            return request.SerializeToString()
        copy = type(request)()
        copy.CopyFrom(request)
        for span in spans_of(copy):
            if not span.parent_span_id:
                merge_tags(span, self._labels)
        return copy.SerializeToString()

    def deliver(self, head: dict[str, Any], body: bytes) -> None:
        if head["kind"] == "spans" and not head.get("experiment"):
            self.post("/v1/traces", body, {"Content-Type": PROTOBUF})
        else:
            super().deliver(head, body)
