"""What observes the libraries of this environment: one observer each."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution

from twinlens.sdk.instrument.table import LIBRARIES, Library

#: Environment variable with libraries and packages to leave alone, separated by commas.
SKIP = "TWINLENS_SKIP"


@dataclass(frozen=True, slots=True)
class Choice:
    """What observes a library. ``packages``: installed instrumentors, the one that is used first."""

    library: Library
    packages: tuple[str, ...] = ()

    @property
    def observed(self) -> bool:
        """Anything observes it."""
        return bool(self.packages or self.library.builtin or self.library.native)

    @property
    def by(self) -> str:
        """The observer, for people."""
        if self.library.native:
            return "its own telemetry"
        return self.packages[0] if self.packages else "built in" if self.library.builtin else ""


def installed(name: str) -> bool:
    """Whether a distribution is installed in this environment."""
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True


def choose(skip: Collection[str] = (), libraries: Iterable[Library] = LIBRARIES) -> list[Choice]:
    """The observers for every library that is installed.

    Args:
        skip: names of libraries (any case) and of instrumentor packages to leave alone.
        libraries: the table.
    """
    left = {name.strip().lower() for name in skip if name.strip()}
    found: list[Choice] = []
    for library in libraries:
        if {library.name.lower(), library.distribution} & left or not installed(library.distribution):
            continue
        packages = () if library.native else tuple(p for p in library.packages if p not in left and installed(p))
        found.append(Choice(library, packages))
    return found


def summary(choices: Iterable[Choice]) -> str:
    """One line: what is observed by what, and what to install for the rest."""
    chosen = list(choices)
    seen = [f"{c.library.name} ({c.by})" for c in chosen if c.observed]
    text = "observing " + ", ".join(seen) if seen else "no library found that can be observed"
    missing = [f"{c.library.packages[0]} (for {c.library.name})" for c in chosen if not c.observed]
    return text + (f"; install {', '.join(missing)}" if missing else "")
