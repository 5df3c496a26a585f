"""``python -m twinlens`` is the ``twinlens`` command."""

from twinlens.cli import main

main()
