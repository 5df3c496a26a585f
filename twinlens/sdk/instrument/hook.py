"""Switches an observer on right after its library was imported. Imports only what every interpreter has loaded anyway.

Used by ``twinlens run`` (through ``start/sitecustomize.py``) and by the start-up hook (``twinlens hook install``). A program that
imports none of the libraries pays one comparison per import and nothing else.
"""

from __future__ import annotations

import sys
from typing import Any


class Finder:
    """A meta path finder that lets others find the module and adds a step after its execution."""

    def __init__(self, modules: set[str]) -> None:
        self.modules = modules
        self._asking: set[str] = set()

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Answer for the watched modules only. Being asked is not being imported: programs look what is installed."""
        if name not in self.modules or name in self._asking:
            return None
        from importlib.util import find_spec

        self._asking.add(name)  # the others are asked through the same list of finders
        try:
            spec = find_spec(name)
        finally:
            self._asking.discard(name)
        if spec is None or spec.loader is None or not hasattr(spec.loader, "exec_module"):
            return spec
        run = spec.loader.exec_module

        def exec_module(module: Any) -> None:
            run(module)
            if name in self.modules:
                self.modules.discard(name)
                _switch_on(name)

        spec.loader.exec_module = exec_module
        return spec


def install() -> None:
    """Watch the imports of this process. Doing it twice changes nothing."""
    if any(isinstance(finder, Finder) for finder in sys.meta_path):
        return
    from twinlens.sdk.instrument.table import LIBRARIES, MARKS

    names = [library.module for library in LIBRARIES] + [*MARKS]

    waiting = {name for name in names if name not in sys.modules}
    sys.meta_path.insert(0, Finder(waiting))  # pyright: ignore[reportArgumentType]
    for name in names:
        if name in sys.modules:
            _switch_on(name)


def _switch_on(name: str) -> None:
    try:
        from twinlens.sdk.instrument.activate import activate

        activate(name)
    except Exception as error:  # an observer's trouble is not the agent's
        import logging

        logging.getLogger("twinlens").warning("twinlens: %s is not observed: %s: %s", name, type(error).__name__, error)
