"""Moves whole projects between Twinlens, MLflow, Langfuse and files.

Every system is a ``Source`` that yields records (``twinlens.domain.record``) and perhaps a ``Target`` that takes them; the
``runner`` carries them over with a checkpoint, and ``tally`` compares both sides afterwards. Nothing here runs in a server:
it talks HTTP, reads files and databases, and is used by the command line.
"""
