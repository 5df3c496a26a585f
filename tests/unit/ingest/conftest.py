"""Property tests draw the same examples in every run, so that a failure is a failure for everybody."""

from hypothesis import settings

settings.register_profile("twinlens", derandomize=True, deadline=None)
settings.load_profile("twinlens")
