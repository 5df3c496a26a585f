"""The base of the MLflow face: finding handlers, reading parameters, wording errors."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest

from twinlens.domain import errors
from twinlens.faces.mlflow.errors import MlflowError, error_reply
from twinlens.faces.mlflow.params import Params, QueryValues
from twinlens.faces.mlflow.router import Dispatcher, tables
from twinlens.faces.mlflow.wire import Call, Raw, RpcTable, decode_body, number, present


def dispatcher(*paths: str) -> Dispatcher:
    table = RpcTable()
    for path in paths:
        verb, path = path.split(" ")

        def handler(_call: Call) -> None: ...

        table.rpc(verb, "2.0", path)(handler)
    return Dispatcher([table])


def test_a_path_is_found_under_both_prefixes() -> None:
    found = dispatcher("GET /mlflow/x", "POST /mlflow/x")
    for path in ("/api/2.0/mlflow/x", "/ajax-api/2.0/mlflow/x", "/api/2.0/mlflow/x/"):
        rpc = found.find("POST", path)
        assert not isinstance(rpc, Raw) and rpc[0].verb == "POST"
    refused = found.find("PUT", "/api/2.0/mlflow/x")
    assert isinstance(refused, Raw) and refused.status == 405 and refused.headers["Allow"] == "GET, POST"
    unknown = found.find("GET", "/api/3.0/mlflow/x")
    assert isinstance(unknown, Raw) and unknown.status == 404 and unknown.media_type.startswith("text/html")


def test_paths_without_parameters_win_and_parameters_are_decoded() -> None:
    found = dispatcher(
        "GET /t/get", "GET /t/{id}", "DELETE /t/{id}/tags/{key}", "GET /files/{path:path}", "PUT /t/{id}"
    )

    def values(verb: str, path: str) -> tuple[str, dict[str, str]]:
        rpc = found.find(verb, f"/api/2.0{path}")
        assert not isinstance(rpc, Raw), path
        return rpc[0].path, rpc[1]

    assert values("GET", "/t/get") == ("/t/get", {})
    assert values("GET", "/t/a%20b") == ("/t/{id}", {"id": "a b"})
    assert values("DELETE", "/t/1/tags/a%2Fb%3F") == ("/t/{id}/tags/{key}", {"id": "1", "key": "a/b?"})
    assert values("GET", "/files/a/b%20c/d") == ("/files/{path:path}", {"path": "a/b c/d"})
    refused = found.find("POST", "/api/2.0/t/1")
    assert isinstance(refused, Raw) and refused.headers["Allow"] == "GET, PUT"


def test_no_path_is_declared_twice() -> None:
    seen: set[tuple[str, str]] = set()
    for rpc in (rpc for table in tables() for rpc in table.rpcs):
        for prefix in rpc.prefixes:
            place = (rpc.verb, f"{prefix}/{rpc.version}{rpc.path}" if rpc.version else rpc.path)
            assert place not in seen
            seen.add(place)
            assert rpc.handler.__doc__, place


def test_everything_but_the_servers_own_facts_needs_a_right() -> None:
    public = {rpc.path for table in tables() for rpc in table.rpcs if rpc.scope is None}
    assert public == {
        "/version",
        "/health",
        "/mlflow/server-info",
        "/mlflow-artifacts/signed",
    }  # the last: by signature


@pytest.mark.parametrize(
    ("read", "values", "expected"),
    [
        (lambda p: p.text("a_b"), {"aB": "x"}, "x"),
        (lambda p: p.text("a", "old"), {"old": "x"}, "x"),
        (lambda p: p.text("a"), {"a": None}, None),
        (lambda p: p.integer("a"), {"a": "-7"}, -7),
        (lambda p: p.integer("a"), {"a": 7.0}, 7),
        (lambda p: p.number("a"), {"a": "1e3"}, 1000.0),
        (lambda p: p.number("a"), {"a": "-Infinity"}, -math.inf),
        (lambda p: p.boolean("a"), {"a": "TRUE"}, True),
        (lambda p: p.enum("a", ("X", "Y")), {"a": 2}, "Y"),
        (lambda p: p.enum("a", ("X", "Y")), {"a": "X"}, "X"),
        (lambda p: p.texts("a"), {"a": ["x"]}, ["x"]),
        (lambda p: p.texts("a"), QueryValues({"a": "x"}), ["x"]),
        (lambda p: p.texts("a"), {}, []),
        (lambda p: p.pairs("a"), {"a": [{"key": "k"}, {"key": "l", "value": "v"}]}, [("k", ""), ("l", "v")]),
        (lambda p: p.max_results(5, 10), {}, 5),
        (lambda p: p.max_results(5, 10), {"max_results": "10"}, 10),
    ],
)
def test_parameters_are_read(read: Any, values: dict[str, Any], expected: Any) -> None:
    assert read(Params(values)) == expected


@pytest.mark.parametrize(
    ("read", "values", "message"),
    [
        (lambda p: p.required("a"), {}, "Missing value for required parameter 'a'."),
        (lambda p: p.required("a"), {"a": ""}, "Missing value for required parameter 'a'."),
        (
            lambda p: p.text("a"),
            {"a": 5},
            "Invalid value 5 for parameter 'a' supplied:  Hint: Value was of type 'int'.",
        ),
        (lambda p: p.integer("a"), {"a": True}, "Invalid value true for parameter 'a'"),
        (lambda p: p.integer("a"), {"a": "1.5"}, "Invalid value \"1.5\" for parameter 'a'"),
        (lambda p: p.integer("a"), {"a": 1 << 63}, "Invalid value 9223372036854775808 for parameter 'a'"),
        (lambda p: p.number("a"), {"a": "inf"}, "Invalid value \"inf\" for parameter 'a'"),
        (lambda p: p.number("a"), {"a": False}, "Invalid value false for parameter 'a'"),
        (lambda p: p.boolean("a"), {"a": "yes"}, "Invalid boolean value: yes"),
        (lambda p: p.enum("a", ("X",)), {"a": "Z"}, "Invalid value \"Z\" for parameter 'a'"),
        (lambda p: p.enum("a", ("X",)), {"a": 2}, "Invalid value 2 for parameter 'a'"),
        (lambda p: p.texts("a"), {"a": "x"}, "Invalid value \"x\" for parameter 'a'"),
        (lambda p: p.objects("a")[0].required("key"), {"a": [{}]}, "Missing value for required parameter 'a[0].key'."),
        (lambda p: p.objects("a"), {"a": [1]}, "Invalid value [1] for parameter 'a'"),
        (lambda p: p.text("a_b"), {"a_b": "x", "aB": "x"}, "Request specifies both 'a_b' and 'aB'"),
        (lambda p: p.max_results(5, 10), {"max_results": 11}, "It must be at most 10"),
        (lambda p: p.max_results(5, 10), {"max_results": 0}, "positive integer"),
    ],
)
def test_wrong_parameters_are_named(read: Any, values: dict[str, Any], message: str) -> None:
    with pytest.raises(MlflowError) as caught:
        read(Params(values))
    assert message in caught.value.message and caught.value.code == "INVALID_PARAMETER_VALUE"


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (errors.InvalidArgument("x"), 400, "INVALID_PARAMETER_VALUE"),
        (errors.NotFound("x"), 404, "RESOURCE_DOES_NOT_EXIST"),
        (errors.AlreadyExists("x"), 400, "RESOURCE_ALREADY_EXISTS"),
        (errors.InvalidState("x"), 400, "INVALID_STATE"),
        (errors.PermissionDenied("x"), 403, "PERMISSION_DENIED"),
        (errors.Unauthenticated("x"), 401, "UNAUTHENTICATED"),
        (errors.TooLarge("x"), 413, "INVALID_PARAMETER_VALUE"),
        (errors.Busy("x", 3), 429, "REQUEST_LIMIT_EXCEEDED"),
        (errors.StoreUnavailable("x"), 503, "TEMPORARILY_UNAVAILABLE"),
        (MlflowError("ENDPOINT_NOT_FOUND", "x"), 404, "ENDPOINT_NOT_FOUND"),
        (RuntimeError("secret"), 500, "INTERNAL_ERROR"),
    ],
)
def test_errors_have_mlflows_shape(error: Exception, status: int, code: str) -> None:
    found, body, headers = error_reply(error)
    told = msgspec.json.decode(body)
    assert (found, told["error_code"]) == (status, code)
    assert "secret" not in told["message"]
    assert ("Retry-After" in headers) == (status in (429, 503))


def test_the_json_dialect() -> None:
    assert [number(v) for v in (1.5, math.nan, math.inf, -math.inf)] == [1.5, "NaN", 1.7976931348623157e308, -1.7976931348623157e308]  # fmt: skip
    assert present(a=1, b=None, c="") == {"a": 1, "c": ""}
    assert decode_body(b'"{\\"a\\": 1}"') == {"a": 1}
    assert math.isnan(decode_body(b'{"a": NaN}')["a"])
    for body in (b"", b"{", b"[]", b"5", b"\xff", b"[" * 100_000):
        assert decode_body(body) == {}
    with pytest.raises(MlflowError, match="valid Unicode"):
        decode_body(b'{"a": "\\ud800"}')
