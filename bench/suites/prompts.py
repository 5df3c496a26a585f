"""Prompts as programs fetch them: Langfuse's ``GET /v2/prompts/{name}``, whole and with the entity tag of the last answer."""

from __future__ import annotations

import base64

from bench.book import Book
from bench.connection import drive, encode, encode_json
from bench.servers import Server
from bench.suites import Effort

NAME, PATH = "support/greet", "/api/public/v2/prompts"
HEADERS = {"Authorization": "Basic " + base64.b64encode(b"pk-lf-bench:sk-lf-bench").decode()}


def stored(server: Server) -> bytes:
    """Write a prompt of 1 KB with a label and a config; the request that fetches it."""
    body = {
        "name": NAME, "prompt": "You are a helpful agent of a shop. " * 28 + "{{name}}", "labels": ["production"],
        "config": {"model": "gpt-4o", "temperature": 0.2},
    }  # fmt: skip
    with server.connect() as connection:
        connection.send(encode_json("POST", PATH, body, HEADERS))
    return encode("GET", f"{PATH}/support%2Fgreet", headers=HEADERS)


def measure(server: Server, book: Book, effort: Effort) -> None:
    """Gets of one prompt over four connections."""
    request = stored(server)
    rates = [
        drive(server.port, [request] * int(effort.seconds * 8_000), 4, effort.seconds).rate
        for _ in range(effort.repeats)
    ]
    book.record("prompt_get", server.name, *rates, note="1 KB, answered from memory")
