"""What every face needs from HTTP: leaving the event loop for blocking calls."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

#: Blocking store calls run here; wide enough that slow analytical reads do not hold up small ones.
_POOL = ThreadPoolExecutor(max_workers=12, thread_name_prefix="twinlens-io")


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a blocking function off the event loop."""
    return await asyncio.get_running_loop().run_in_executor(_POOL, partial(function, *args, **kwargs))
