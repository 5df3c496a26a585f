"""Backups of an instance that runs, and putting one back. Used by the command line; see ``docs/backup.md``.

A backup place holds one folder per backup and one pool of artifacts and media, each file once by its content, so that a further
backup reads and writes only what is new of them.
"""
