"""First on ``PYTHONPATH`` in programs started by ``twinlens run``: watches imports, then lets the environment's own
``sitecustomize`` run as if this one were not there."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or ".") != _HERE]

try:
    from twinlens.sdk.instrument.hook import install

    install()
except ImportError as _error:
    if os.environ.pop("TWINLENS_RUN", ""):  # said once, not by every child
        print(
            f"twinlens: {sys.executable} has no twinlens ({_error}), so nothing is recorded; "
            f"run: {sys.executable} -m pip install twinlens",
            file=sys.stderr,
        )

_spec = importlib.machinery.PathFinder.find_spec("sitecustomize", sys.path)
if _spec is not None and _spec.loader is not None:
    _module = importlib.util.module_from_spec(_spec)
    sys.modules["sitecustomize"] = _module
    _spec.loader.exec_module(_module)
