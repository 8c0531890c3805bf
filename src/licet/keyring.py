"""Secrets at rest: sealed with AES-256-GCM under keys that live in a file, never in the books.

The first key seals; every key opens. To rotate: put a new key first, seal everything again, drop the old one. What is
sealed is bound to what it belongs to (``about``), so that a row's secret is of no use in another row.

A sealed secret is one byte of key id, twelve of nonce, then the ciphertext with its tag.
"""

import secrets
from collections.abc import Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE = 12


class Keyring:
    """Seals and opens. ``keys``: key id (0 to 255) → 32 bytes; ``current``: the id of the key that seals."""

    def __init__(self, keys: Mapping[int, bytes], current: int) -> None:
        self._ciphers = {key_id: AESGCM(key) for key_id, key in keys.items()}
        self._current = current
        self._seal = self._ciphers[current]
        self._nothing = self.seal(secrets.token_hex(16), "nothing")

    def seal(self, secret: str, about: str) -> bytes:
        nonce = secrets.token_bytes(_NONCE)
        return bytes([self._current]) + nonce + self._seal.encrypt(nonce, secret.encode(), about.encode())

    def open(self, sealed: bytes, about: str) -> str:
        """Raises ValueError when no key opens it: a lost key file, or a secret moved to where it does not belong."""
        cipher = self._ciphers.get(sealed[0])
        if cipher is None:
            raise ValueError(f"no key {sealed[0]} on the ring for {about}")
        try:
            return cipher.decrypt(sealed[1 : 1 + _NONCE], sealed[1 + _NONCE :], about.encode()).decode()
        except InvalidTag:
            raise ValueError(f"the secret of {about} was sealed with another key or for something else") from None

    def open_nothing(self) -> str:
        """As much work as opening a secret, and no secret: for who is not in the books."""
        return self.open(self._nothing, "nothing")

    def is_current(self, sealed: bytes) -> bool:
        """Whether it was sealed with the key that seals now: what a rotation has already been over."""
        return sealed[0] == self._current
