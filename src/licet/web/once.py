"""A request that carries an ``Idempotency-Key`` is done once, however often it is sent.

The key, the effect and the answer are written in one transaction: either all of them are in the books, or none. So a
licet that dies at any instant has either done it and remembers the answer, or has not done it and will.
"""

import hashlib
import json
from collections.abc import Awaitable, Callable

from fastapi import Response
from pydantic import BaseModel

from licet.postgres import asks
from licet.postgres.books import Books
from licet.refusals import Reason, Refused
from licet.web.session import Ask


async def once(
    ask: Ask, work: Callable[[Books], Awaitable[BaseModel]], *, status: int = 201, body: bytes | None = None
) -> Response:
    """Do the work, or answer what it was answered before.

    1. Claim the key. If somebody was first, this waits until they are done; another request under that key is refused.
    2. Do the work with the books that are bound to this transaction.
    3. Remember the answer, sealed: it may hold a secret that is shown once. A refusal undoes all of it, also the claim.

    ``body``: what stands for the body where that was read already, piece by piece.
    """
    if ask.key is None:
        return _answer(status, (await work(ask.books)).model_dump_json())
    scope, key = ask.by.account_id or "operator", ask.key
    fingerprint = await _fingerprint(ask, body)
    async with ask.books.transaction() as bound:
        if not await asks.claim(bound, scope=scope, key=key, fingerprint=fingerprint, now=ask.now):
            return await _again(bound, scope, key, fingerprint)
        said = (await work(bound)).model_dump_json()
        sealed = bound.keyring.seal(said, f"{scope} {key}")
        await asks.answer(bound, scope=scope, key=key, status=status, sealed_answer=sealed)
    return _answer(status, said)


async def _again(books: Books, scope: str, key: str, fingerprint: bytes) -> Response:
    answered = await asks.answered(books, scope=scope, key=key)
    if answered is None or answered.fingerprint != fingerprint:
        raise Refused(Reason.KEY_REUSED)
    said = books.keyring.open(answered.sealed_answer, f"{scope} {key}")
    return _answer(answered.status, said, {"Idempotency-Replayed": "true"})


async def _fingerprint(ask: Ask, body: bytes | None) -> bytes:
    """What was asked: JSON that says the same is the same, however it is spaced."""
    request = ask.request
    asked = f"{request.method} {request.url.path}?{request.url.query}\n".encode()
    return hashlib.sha256(asked + _spelled(await request.body() if body is None else body)).digest()


def _spelled(body: bytes) -> bytes:
    """JSON in one spelling. A path that takes no body was not read by anybody, and may have been sent anything."""
    try:
        return json.dumps(json.loads(body), sort_keys=True).encode()
    except (ValueError, RecursionError):
        return body


def _answer(status: int, said: str, headers: dict[str, str] | None = None) -> Response:
    return Response(said, status, headers, "application/json")
