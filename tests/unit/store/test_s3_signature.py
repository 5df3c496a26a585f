"""Addresses signed here equal those that the object store's own library signs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import obstore
import pytest
from obstore.store import from_url

from twinlens.store.blobs.s3_uploads import Credentials, presign


@pytest.mark.parametrize("endpoint", [None, "http://127.0.0.1:9000"])
def test_signature_is_the_librarys(endpoint: str | None) -> None:
    options = {"endpoint": endpoint, "client_options": {"allow_http": True}} if endpoint else {}
    store = from_url(
        "s3://bucket/prefix", access_key_id="AKID", secret_access_key="sec/ret+", region="eu-west-1",
        session_token="to/ken=", **options,
    )  # type: ignore[call-overload] # fmt: skip
    expected = obstore.sign(store, "PUT", "a b/ü+.txt", timedelta(seconds=77))
    at = datetime.strptime(parse_qs(urlsplit(expected).query)["X-Amz-Date"][0], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    credentials = Credentials(access_key="AKID", secret_key="sec/ret+", region="eu-west-1", token="to/ken=")
    made = presign("PUT", expected.split("?")[0], {}, credentials, 77, at)
    assert parse_qs(urlsplit(made).query) == parse_qs(urlsplit(expected).query)
