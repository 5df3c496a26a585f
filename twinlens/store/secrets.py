"""Secrets at rest: provider keys, webhook secrets, storage credentials. Whoever reads the catalog without the
instance's key reads nothing, and cannot move a sealed secret to another place."""

from __future__ import annotations

import base64
import os
from typing import TYPE_CHECKING

from twinlens.domain.errors import InvalidState

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_FORM = "v1."  #: form of a sealed secret: AES-256-GCM, 12 random bytes before the ciphertext, URL-safe base64
_NONCE = 12
_PURPOSE = b"twinlens/sealed-secrets/1"


class Sealer:
    """Seals and opens secrets with a key derived from the instance's own (HKDF-SHA256, RFC 5869).

    Args:
        key: the instance's key, any text; the same for all processes that share a catalog.
    """

    def __init__(self, key: str) -> None:
        self._instance = key.encode()

    def seal(self, secret: str, place: str) -> str:
        """The secret as text for the catalog.

        Args:
            secret: what to hide.
            place: what it belongs to, for example ``webhook/ID`` or ``llm-connection/ID``; it opens only there.
        """
        nonce = os.urandom(_NONCE)
        sealed = self._cipher().encrypt(nonce, secret.encode("utf-8", "surrogatepass"), place.encode())
        return _FORM + base64.urlsafe_b64encode(nonce + sealed).decode()

    def open(self, sealed: str, place: str) -> str:
        """The secret again.

        Raises:
            InvalidState: sealed with another key, for another place, or damaged; or it stayed behind when the rest came here.
        """
        if not sealed:
            raise InvalidState("secrets do not travel in archives: enter this one again")
        from cryptography.exceptions import InvalidTag

        try:
            if not sealed.startswith(_FORM):
                raise ValueError(sealed[:4])
            raw = base64.urlsafe_b64decode(sealed[len(_FORM) :])
            found = self._cipher().decrypt(raw[:_NONCE], raw[_NONCE:], place.encode())
        except (InvalidTag, ValueError) as error:
            raise InvalidState(
                "a stored secret does not open with this instance's key: start the server with the key it was stored "
                "under (TWINLENS_SECRET, or the file 'secret' of the data folder), or enter the secret again"
            ) from error
        return found.decode("utf-8", "surrogatepass")

    def _cipher(self) -> AESGCM:
        # Imported on first use: the library costs start-up time.
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF

        return AESGCM(HKDF(SHA256(), 32, salt=None, info=_PURPOSE).derive(self._instance))
