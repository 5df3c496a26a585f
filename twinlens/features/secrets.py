"""Hashing of secrets. API keys and session tokens are long and random, so one keyed hash is enough and costs
microseconds per request; passwords are short and human, so they get argon2, paid at sign-in only."""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path


class Hasher:
    """Keyed hash of API keys and session tokens. Without the key a stolen catalog does not reveal which key fits.

    Args:
        key: any text; the same for all processes that share a catalog.
    """

    def __init__(self, key: str) -> None:
        self._key = hashlib.blake2b(key.encode(), digest_size=32).digest()

    def hash(self, secret: str) -> str:
        """64 hex digits."""
        return hashlib.blake2b(secret.encode("utf-8", "surrogatepass"), key=self._key, digest_size=32).hexdigest()


def instance_key(folder: Path) -> str:
    """The instance's own random key, kept in ``folder/secret`` (readable by its owner only), made when absent."""
    path = folder / "secret"
    try:
        return path.read_text("ascii").strip()
    except FileNotFoundError:
        key = secrets.token_hex(32)
        temporary = folder / f"secret.{os.getpid()}"
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(key + "\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
        return key


def new_key_pair() -> tuple[str, str]:
    """A public and a secret key in Langfuse's form."""
    return f"pk-lf-{secrets.token_hex(16)}", f"sk-lf-{secrets.token_hex(24)}"


def hint(secret: str) -> str:
    """What may be shown of a secret: its ends when it is long enough to spare them."""
    return f"{secret[:6]}…{secret[-4:]}" if len(secret) >= 16 else "…"


def hash_password(password: str) -> str:
    """argon2id with the library's current recommendation (tens of milliseconds)."""
    from argon2 import PasswordHasher

    return PasswordHasher().hash(password)


def password_fits(password_hash: str, password: str) -> bool:
    """Whether the password is the one that was hashed (tens of milliseconds)."""
    from argon2 import PasswordHasher
    from argon2.exceptions import InvalidHashError, VerificationError

    try:
        return PasswordHasher().verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False
