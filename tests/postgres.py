"""A throw-away PostgreSQL server for tests: Debian's binaries, a Unix socket in a temporary folder, no durability."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

import psycopg


def find_binaries() -> Path | None:
    """The newest installed server's ``bin`` folder, or None."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[-3]))
    if found:
        return found[-1].parent
    path = shutil.which("initdb")
    return Path(path).parent if path else None


class PostgresServer:
    """One cluster; ``create`` makes databases in it. PostgreSQL refuses to run as root, so then it runs as ``postgres``."""

    def __init__(self, binaries: Path) -> None:
        self._bin = binaries
        self.folder = Path(tempfile.mkdtemp(prefix="tlpg"))  # short: socket paths are limited to 107 bytes
        self._user: str | None = None
        if os.geteuid() == 0:
            self._user = "postgres"
            account = pwd.getpwnam("postgres")
            os.chown(self.folder, account.pw_uid, account.pw_gid)
        self.folder.chmod(0o755)
        self._count = 0

    def _run(self, *command: str) -> None:
        subprocess.run(
            [str(self._bin / command[0]), *command[1:]],
            check=True, user=self._user, cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip

    def start(self) -> None:
        """Create the cluster and wait until it accepts connections."""
        data = str(self.folder / "data")
        self._run("initdb", "-D", data, "-U", "twinlens", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8")
        options = (
            f"-k {self.folder} -c listen_addresses= -c fsync=off -c synchronous_commit=off -c full_page_writes=off "
            "-c shared_buffers=32MB -c max_connections=60"
        )
        self._run("pg_ctl", "-D", data, "-o", options, "-l", str(self.folder / "log"), "-w", "start")

    def stop(self) -> None:
        """Stop at once and remove everything."""
        try:
            self._run("pg_ctl", "-D", str(self.folder / "data"), "-m", "immediate", "-w", "stop")
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def create(self) -> str:
        """Make a database; its name."""
        self._count += 1
        name = f"t{self._count}"
        self._sql(f"CREATE DATABASE {name}")
        return name

    def drop(self, name: str) -> None:
        """Remove a database, also when someone is still connected."""
        self._sql(f"DROP DATABASE {name} WITH (FORCE)")

    def url(self, name: str) -> str:
        """SQLAlchemy URL of a database."""
        return f"postgresql+psycopg://twinlens@/{name}?host={self.folder}"

    def _sql(self, statement: str) -> None:
        with psycopg.connect(host=str(self.folder), user="twinlens", dbname="postgres", autocommit=True) as connection:
            connection.execute(statement)  # type: ignore[arg-type]
