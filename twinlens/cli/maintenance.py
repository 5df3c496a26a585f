"""``twinlens reclaim``."""

from __future__ import annotations

import json
from typing import Annotated

from cyclopts import Parameter

from twinlens.cli.options import Config, Data, settings

MIB = 1 << 20


def reclaim(
    *,
    data: Data = None,
    config: Config = None,
    key: Annotated[
        str | None, Parameter(help="Secret key with organization rights, when the running server is secured.")
    ] = None,
) -> None:
    """Give back the disk space of deleted data.

    Works on a running server (through its API) and on a stopped one (by opening the folder).
    """
    from twinlens.store.lock import read_holder

    chosen = settings(config, data=data)
    holder = read_holder(chosen.data)
    if holder is None:
        from twinlens.server import Instance

        instance = Instance(chosen)
        try:
            report = instance.services.ingest.run_sync(lambda store: store.reclaim())
            kept, dropped, size = report.payloads_kept, report.payloads_dropped, report.bytes_dropped
        finally:
            instance.close()
    else:
        import urllib.error
        import urllib.request

        from twinlens.domain.errors import Conflict

        request = urllib.request.Request(f"{holder.get('url')}/api/twinlens/v1/reclaim", method="POST")  # noqa: S310
        if key:
            request.add_header("Authorization", f"Bearer {key}")
        try:
            with urllib.request.urlopen(request) as answer:  # noqa: S310 - the address our own server wrote down
                found = json.loads(answer.read())
        except urllib.error.HTTPError as error:
            raise Conflict(f"the running server refused: {json.loads(error.read()).get('message')}") from error
        kept, dropped, size = found["payloads_kept"], found["payloads_dropped"], found["bytes_dropped"]
    print(f"dropped {dropped:,} payloads ({size / MIB:,.1f} MiB), kept {kept:,}")
