"""Secrets at rest: sealed with AES-256-GCM under keys that live in a file, never in the books.

One key seals; every key opens. To rotate: a new key seals from now on, everything is sealed again, the old keys are
dropped. What is sealed is bound to what it belongs to (``about``), so that a row's secret is of no use in another row.

A sealed secret is one byte of key id, twelve of nonce, then the ciphertext with its tag.
"""

import secrets
from collections.abc import Callable, Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE = 12

Keys = tuple[int, Mapping[int, bytes]]  # the id of the key that seals; key id (0 to 255) → 32 bytes


class Keyring:
    """Seals and opens.

    ``renewed`` says what the keys have become since it was last asked, None if nothing. So a rotation reaches a running
    process before it seals with a key that is on its way out, and when it meets a secret under one it has not seen.
    """

    def __init__(
        self, keys: Mapping[int, bytes], current: int, *, renewed: Callable[[], Keys | None] = lambda: None
    ) -> None:
        self._renewed = renewed
        self._hold(current, keys)
        self._nothing = self.seal(secrets.token_hex(16), "nothing")

    def _hold(self, current: int, keys: Mapping[int, bytes]) -> None:
        self._current = current
        self._ciphers = {key_id: AESGCM(key) for key_id, key in keys.items()}

    def _look_again(self) -> None:
        if (keys := self._renewed()) is not None:
            self._hold(*keys)

    def seal(self, secret: str, about: str) -> bytes:
        self._look_again()
        nonce = secrets.token_bytes(_NONCE)
        sealed = self._ciphers[self._current].encrypt(nonce, secret.encode(), about.encode())
        return bytes([self._current]) + nonce + sealed

    def open(self, sealed: bytes, about: str) -> str:
        """Raises ValueError when no key opens it: a lost key file, or a secret moved to where it does not belong."""
        if sealed[0] not in self._ciphers:
            self._look_again()
        cipher = self._ciphers.get(sealed[0])
        if cipher is None:
            raise ValueError(f"no key {sealed[0]} on the ring for {about}")
        try:
            return cipher.decrypt(sealed[1 : 1 + _NONCE], sealed[1 + _NONCE :], about.encode()).decode()
        except InvalidTag:
            raise ValueError(f"the secret of {about} was sealed with another key or for something else") from None

    def open_nothing(self) -> str:
        """As much work as opening a secret, and no secret: for who is not in the books."""
        nothing = self._nothing
        if nothing[0] not in self._ciphers:
            nothing = self._nothing = self.seal(secrets.token_hex(16), "nothing")
        return self.open(nothing, "nothing")

    @property
    def current(self) -> int:
        """The id of the key that seals: what a sealed secret begins with once a rotation has been over it."""
        return self._current
