"""licet as a program sees it: the HTTP API, asked with a token.

Whatever is asked can be asked again: a POST carries an Idempotency-Key of its own, so when its answer is lost on the
way the same is sent once more and still done once. A DELETE carries none; if its answer is lost, that is said.
"""

import http.client
import json
import secrets
import time
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from licet import __version__

MOST_ON_A_PAGE = 200

_PATIENCE_SECONDS = 60.0
_AGAIN_AFTER_SECONDS = (0.3, 1.5)
_REFUSED, _MISUSED = 1, 2


class NotDone(Exception):
    """The command ends here: what to say on stderr, and the status to exit with."""

    def __init__(self, said: str, status: int = _REFUSED) -> None:
        super().__init__(said)
        self.status = status


def misused(said: str) -> NotDone:
    """What was typed cannot be meant."""
    return NotDone(said, _MISUSED)


@dataclass(frozen=True)
class Answer:
    """``text``: the answer as licet wrote it, empty where there is nothing to say."""

    text: str

    @cached_property
    def said(self) -> Any:
        return json.loads(self.text)

    @classmethod
    def of(cls, said: object) -> "Answer":
        """Several answers put together, written as licet writes one."""
        return cls(json.dumps(said, ensure_ascii=False, separators=(",", ":")))


class Licet:
    """One licet. ``key``: what its POSTs are known by, so that the same command can be given again."""

    def __init__(self, url: str, token: str, *, key: str | None = None) -> None:
        self.url = url
        self._at = urlsplit(url)
        self._token = token
        self._key = key or secrets.token_urlsafe(16)
        self._posts = 0

    def get(self, *path: str, **query: object) -> Answer:
        """``get("products", pk)`` is ``GET /v1/products/PK``; a filter that is None is not asked for."""
        wanted = {name: _in_query(value) for name, value in query.items() if value not in (None, False)}
        return self._ask("GET", path, query=urlencode(wanted))

    def file(self, *path: str, **query: object) -> str:
        """What is answered with a file: its text."""
        return self._ask("GET", path, query=urlencode({name: _in_query(it) for name, it in query.items() if it})).text

    def listed(self, *path: str, limit: int, **query: object) -> Answer:
        """Page after page of a list, up to ``limit``, as if it were one page."""
        data: list[Any] = []
        cursor = None
        while True:
            answer = self.get(*path, limit=min(MOST_ON_A_PAGE, limit - len(data)), cursor=cursor, **query)
            if not data and (answer.said["next_cursor"] is None or len(answer.said["data"]) >= limit):
                return answer
            data += answer.said["data"]
            cursor = answer.said["next_cursor"]
            if cursor is None or len(data) >= limit:
                return Answer.of({"data": data, "next_cursor": cursor})

    def post(self, *path: str, **body: object) -> Answer:
        """What is None is not said."""
        self._posts += 1
        key = self._key if self._posts == 1 else f"{self._key}-{self._posts}"
        return self._ask("POST", path, body=_given(body), key=key)

    def patch(self, *path: str, **body: object) -> Answer:
        """Only what is not None changes."""
        return self._ask("PATCH", path, body=_given(body))

    def put(self, *path: str) -> Answer:
        return self._ask("PUT", path)

    def delete(self, *path: str) -> Answer:
        return self._ask("DELETE", path)

    def _ask(
        self, method: str, path: tuple[str, ...], *, query: str = "", body: object = None, key: str | None = None
    ) -> Answer:
        if odd := [part for part in path if not part or "/" in part]:
            raise misused(f"“{odd[0]}” is no id and no key.")
        target = "/".join([self._at.path.rstrip("/"), "v1", *(quote(part, safe="") for part in path)])
        headers = {"Authorization": f"Bearer {self._token}", "User-Agent": f"licet/{__version__}"}
        if key is not None:
            headers["Idempotency-Key"] = key
        said = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            said = json.dumps(body).encode()
        for pause in (*_AGAIN_AFTER_SECONDS, None):
            try:
                status, text = self._send(method, f"{target}?{query}" if query else target, headers, said)
            except ConnectionRefusedError:
                raise NotDone(f"Nobody answers at {self.url}. Is licet running there?") from None
            except (OSError, http.client.HTTPException) as error:
                if pause is None or method == "DELETE":
                    raise NotDone(self._lost(method, error)) from None
            else:
                if status != http.HTTPStatus.SERVICE_UNAVAILABLE or pause is None:
                    return self._understood(status, text, is_file="format=" in query)
            time.sleep(pause)
        raise AssertionError("the last try answers or raises")

    def _send(self, method: str, target: str, headers: dict[str, str], body: bytes | None) -> tuple[int, str]:
        """Redirects are not followed: the token is for this licet and for nobody that it may point to."""
        kind = http.client.HTTPSConnection if self._at.scheme == "https" else http.client.HTTPConnection
        connection = kind(self._at.hostname or "", self._at.port, timeout=_PATIENCE_SECONDS)
        try:
            connection.request(method, target, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode(errors="replace")
        finally:
            connection.close()

    def _understood(self, status: int, text: str, *, is_file: bool) -> Answer:
        """The answer; or, as licet says it, why there is none."""
        if is_file and status == http.HTTPStatus.OK:
            return Answer(text)
        try:
            said = json.loads(text or "{}")
            if status < http.HTTPStatus.MULTIPLE_CHOICES and (said or status == http.HTTPStatus.NO_CONTENT):
                return Answer(text)
            lines = [f"{said['title']} {said['detail']}"]
            lines += [f"  {wrong['field'] or wrong['where']}: {wrong['sentence']}" for wrong in said.get("errors", [])]
            malformed = said["code"] == "malformed"
        except (ValueError, KeyError, TypeError):
            raise NotDone(f"{self.url} answers {status}, and not as licet does. Is this its address?") from None
        raise NotDone("\n".join(lines), _MISUSED if malformed else _REFUSED)

    def _lost(self, method: str, error: Exception) -> str:
        lost = f"No answer came from {self.url} ({str(error) or type(error).__name__})"
        match method:
            case "GET":
                return f"{lost}. Try again."
            case "POST":
                return (
                    f"{lost}, so nobody knows whether this was done. "
                    f"Give the same command again with --key {self._key}: then it is done once."
                )
            case _:
                return f"{lost}, so nobody knows whether this was done. Look, and give the command again if it was not."


def _given(body: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in body.items() if value is not None}


def _in_query(value: object) -> str:
    return "true" if value is True else str(value)
