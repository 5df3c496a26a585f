"""Lets MLflow capture a run's origin by itself: a run context provider, found through an entry point.

MLflow asks providers whenever ``mlflow.start_run`` makes a run, and sets what they answer as tags. Whatever fails here must
not fail the run.
"""

from __future__ import annotations

import logging

from twinlens.sdk import capture

log = logging.getLogger("twinlens")


class TwinlensRunContext:
    """MLflow's interface (``RunContextProvider``, 3.18) by duck typing, so that MLflow need not be imported here."""

    def in_context(self) -> bool:
        """Whether to add tags."""
        return capture.enabled()

    def tags(self) -> dict[str, str]:
        """The origin as tags."""
        try:
            return capture.tags()
        except Exception as error:  # a run without an origin is better than no run
            log.warning("twinlens: the origin of the run could not be captured: %s", error)
            return {}
