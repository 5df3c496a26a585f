"""Holding a moment for ``twinlens backup``. Not in the OpenAPI document: the command is the interface."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
from litestar import post
from litestar.params import JSONBody
from litestar.response import Stream

from twinlens.domain.errors import TwinlensError
from twinlens.faces.http import AnyRequest, in_thread, services
from twinlens.features.backups import Backups, Held

PROOF = "x-twinlens-owner"
_BEAT = 0.25  #: seconds


class HoldRequest(msgspec.Struct, kw_only=True):
    """``folder``: absolute, empty; the catalog is written there."""

    folder: str


@post("/backup", status_code=200, opt={"access": "public"}, include_in_schema=False)
async def hold_backup(request: AnyRequest, data: JSONBody[HoldRequest]) -> Stream:
    """Lines of JSON: the moment, then ``{"catalog": bytes}`` once that is written, then ``{"valid": true}`` several times a
    second for as long as the caller listens; ``{"error": text}`` ends it."""
    backups = services(request).backups
    backups.admit(request.headers.get(PROOF, ""))
    return Stream(_lines(backups, data.folder), media_type="application/x-ndjson")


async def _lines(backups: Backups, folder: str) -> AsyncIterator[bytes]:
    taking = asyncio.ensure_future(backups.hold(folder))
    try:
        held = await asyncio.shield(taking)
    except asyncio.CancelledError:
        taking.add_done_callback(_close)
        raise
    except TwinlensError as error:
        yield _line({"error": error.message})
        return
    try:
        yield _line(held.moment)
        yield _line({"catalog": await in_thread(held.save_catalog, Path(folder))})
        while True:
            yield _line({"valid": held.valid})
            await asyncio.sleep(_BEAT)
    except TwinlensError as error:
        yield _line({"error": error.message})
    finally:
        asyncio.get_running_loop().run_in_executor(None, held.close)  # it may wait for a commit


def _close(taken: asyncio.Future[Held]) -> None:
    if not taken.cancelled() and taken.exception() is None:
        taken.result().close()


def _line(value: object) -> bytes:
    return msgspec.json.encode(value) + b"\n"


HANDLERS = [hold_backup]
