"""HTTP to one server: who we are, how long we wait, when we try again, and what is refused on the way.

The token goes to the server that was named and to no other: redirects are not followed, and it is not sent without
encryption to another machine.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import requests

from etgraph.cli.remote.failures import Refused, ServerFailed, Unreachable, raise_for
from etgraph.model.cancelling import check, remaining
from etgraph.model.errors import UsageError

TOKEN: Final = "ETGRAPH_TOKEN"
"""The variable that holds the token."""
IN_THE_CLEAR: Final = "ETGRAPH_TOKEN_IN_CLEAR"
"""The variable that lets a token be sent to another machine without encryption, where it is `1`."""
LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
CONNECT_SECONDS: Final = 10.0
ANSWER_SECONDS: Final = 120.0
"""How long the server may say nothing; its own deadline ends a question sooner."""
RATE_SECONDS: Final = 60.0
"""For which a question or a change is put off where a token has asked too much lately; nothing was done then."""
PAUSES: Final = (0.2, 1.0, 3.0)
"""Seconds before a question is asked again to which no answer came."""
_MOST_BYTES: Final = 256 << 20
_BUSY: Final = (429, 502, 503, 504)
_BLOCK: Final = 1 << 16


class Client:
    """Sends requests to the server of a URL, `http(s)://host[:port][/prefix]`. `pause` waits between attempts.

    Raises UsageError for a URL that is none of a server, or where a token would be readable on the way.
    """

    def __init__(
        self, url: str, *, environment: Mapping[str, str] = os.environ, pause: Callable[[float], None] = time.sleep
    ) -> None:
        self.url = checked_url(url)
        self._pause = pause
        self._seconds = ANSWER_SECONDS
        token = environment.get(TOKEN, "").strip()
        host = urlsplit(self.url).hostname or ""
        if token:
            _check_token(token, self.url, host, environment)
        self._session = requests.Session()
        self._session.headers["User-Agent"] = "etgraph"
        # Of its own, so that nothing from a netrc file takes its place.
        self._session.auth = _bearer(token)
        if host in LOOPBACK:
            self._session.trust_env = False

    def close(self) -> None:
        """Close connections."""
        self._session.close()

    def graphql(self, document: str, variables: Mapping[str, Any], *, again: bool = True) -> dict[str, Any]:
        """The data of an answer. Where `again`, a question that got none is asked again; what changes something is not.

        Raises what the answer says went wrong, and Unreachable where there is none.
        """
        body = {"query": document, "variables": variables}
        headers = {"Accept": "application/json"}
        if not again:
            headers["Idempotency-Key"] = uuid.uuid4().hex
        found = self._asked("POST", "graphql", PAUSES if again else (), json=body, headers=headers)
        raise_for(found.get("errors") or ())
        data = found.get("data")
        if not isinstance(data, dict):
            raise Unreachable(f"{self.url}: found an answer without data, expected one of an etgraph server")
        return data

    def rest(self, method: str, path: str, *, again: bool = False, **rest: Any) -> dict[str, Any]:
        """The JSON document of a path below the server's own."""
        found = self._asked(method, path, PAUSES if again else (), **rest)
        raise_for(found.get("errors") or ())
        return found

    def stream(self, path: str, **rest: Any) -> requests.Response:
        """The response of a path, whose body is still to come. Raises what its body says where it is an error."""
        response = self._sent("GET", path, **rest)
        if response.status_code != 200:
            found = self._document(response, _body(response))
            raise_for(found.get("errors") or ())
            raise self._unexpected(response)
        return response

    def _asked(self, method: str, path: str, pauses: tuple[float, ...], **rest: Any) -> dict[str, Any]:
        for seconds in (*pauses, None):
            check()
            try:
                response = self._sent(method, path, **rest)
                body = _body(response)
            except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError) as error:
                if seconds is None:
                    raise self._unreachable(error) from None
            except requests.Timeout:
                check()
                if seconds is None:
                    raise Unreachable(
                        f"{self.url} takes longer than {self._seconds:g} s to answer",
                        hint="is it busy, or is something between it and you that lets nothing through?",
                    ) from None
            except requests.RequestException as error:
                raise self._unreachable(error) from None
            else:
                if response.status_code not in _BUSY or seconds is None or _is_own(response, body):
                    return self._document(response, body)
            self._pause(seconds)
        raise AssertionError("the last attempt gives an answer or raises")

    def _sent(self, method: str, path: str, **rest: Any) -> requests.Response:
        """A response; not the one that we have asked too much lately, as long as the server says when we may again."""
        until = time.monotonic() + RATE_SECONDS
        while True:
            response = self._sent_once(method, path, **rest)
            seconds, left, patience = _put_off(response), remaining(), until - time.monotonic()
            if path != "graphql" or seconds is None or seconds > (patience if left is None else min(patience, left)):
                return response
            response.close()
            self._pause(seconds)
            check()

    def _sent_once(self, method: str, path: str, **rest: Any) -> requests.Response:
        left = remaining()
        # A little longer than there is time, so that it is the deadline which ends the waiting.
        patience = self._seconds if left is None else min(self._seconds, max(left, 0) + 0.2)
        response = self._session.request(
            method, f"{self.url}/{path}", timeout=(min(CONNECT_SECONDS, patience), patience), allow_redirects=False,
            stream=True, **rest,
        )  # fmt: skip
        if response.is_redirect:
            target = response.headers.get("Location", "nowhere")
            response.close()
            raise Unreachable(
                f"{self.url} sends us on to {target[:200]}, and we do not follow: the token is for this server alone",
                hint="if that is the server, name it in --store",
            )
        return response

    def _document(self, response: requests.Response, body: bytes) -> dict[str, Any]:
        """The JSON object of a response of the server."""
        try:
            found = json.loads(body)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise self._unexpected(response)
        if response.status_code >= 400 and not found.get("errors"):
            raise self._unexpected(response)
        return found

    def _unexpected(self, response: requests.Response) -> Exception:
        """The error for a response that is no answer of an etgraph server."""
        status = response.status_code
        if status in (401, 403):
            return Refused(
                f"{self.url} answers {status}: it does not let us in", hint=f"{TOKEN} is to hold a token of this server"
            )
        if status == 429:
            return Unreachable(f"{self.url} answers 429: too many requests", hint="ask again later")
        if status == 413:
            return UsageError(f"{self.url} answers 413: what was sent is larger than it takes")
        if status >= 500:
            return ServerFailed(f"{self.url} answers {status}: {response.reason}", hint="the server's log tells more")
        kind = response.headers.get("Content-Type", "no Content-Type").partition(";")[0]
        return Unreachable(
            f"{self.url} answers {status} with {kind}, and not as an etgraph server does",
            hint="is that the address of 'etgraph serve', with the path that is before /graphql?",
        )

    def _unreachable(self, error: Exception) -> Unreachable:
        return Unreachable(
            f"the server {self.url} cannot be reached: {_reason(error)}",
            hint="is it running ('etgraph serve'), and is --store or ETGRAPH_STORE its address?",
        )


def checked_url(url: str) -> str:
    """The URL of a server without a slash at its end. Raises UsageError for one that is none, or holds a secret."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise UsageError(f"store {url!r}: found no address of a server ({error})") from None
    if parts.username is not None or parts.password is not None:
        raise UsageError(
            "the store's URL holds a name or password, which others see in lists of processes",
            hint=f"put the token into {TOKEN}",
        )
    if not host or parts.query or parts.fragment:
        raise UsageError(f"store {url!r}: found no server, expected http(s)://host[:port][/prefix]")
    return urlunsplit((parts.scheme.lower(), parts.netloc, parts.path.rstrip("/"), "", ""))


def _check_token(token: str, url: str, host: str, environment: Mapping[str, str]) -> None:
    if not (token.isascii() and token.isprintable() and " " not in token):
        raise UsageError(f"{TOKEN} holds no token: found characters that none has")
    if url.startswith("http:") and host not in LOOPBACK and environment.get(IN_THE_CLEAR) != "1":
        raise UsageError(
            f"{url}: your token would go to another machine without encryption",
            hint=f"use https://, or set {IN_THE_CLEAR}=1 where the network is your own",
        )


def _bearer(token: str) -> Callable[[requests.PreparedRequest], requests.PreparedRequest]:
    def sign(request: requests.PreparedRequest) -> requests.PreparedRequest:
        if token:
            request.headers["Authorization"] = f"Bearer {token}"
        return request

    return sign


def _body(response: requests.Response) -> bytes:
    """All of a response, as long as there is time."""
    body = bytearray()
    with response:
        for block in response.iter_content(_BLOCK):
            check()
            body += block
            if len(body) > _MOST_BYTES:
                raise Unreachable(f"the answer is larger than {_MOST_BYTES:,} bytes, which none of etgraph's is")
    return bytes(body)


def _put_off(response: requests.Response) -> float | None:
    """In how many seconds a response of 429 says that we may ask again, None where it does not or is another."""
    text = response.headers.get("Retry-After", "")
    return float(text) if response.status_code == 429 and text.isascii() and text.isdigit() else None


def _is_own(response: requests.Response, body: bytes) -> bool:
    """Whether the server itself says what is wrong, and would say it again."""
    return response.headers.get("Content-Type", "").startswith("application/") and b'"errors"' in body[:2000]


def _reason(error: Exception) -> str:
    """What the operating system, or TLS, says in the end."""
    cause: BaseException | None = error
    seen = error
    while cause is not None:
        reason = getattr(cause, "reason", None)
        inner = next((each for each in cause.args if isinstance(each, BaseException)), None)
        seen = cause  # type: ignore[assignment]
        cause = (reason if isinstance(reason, BaseException) else None) or inner or cause.__cause__
    return getattr(seen, "strerror", None) or str(seen) or type(seen).__name__


__all__ = ["IN_THE_CLEAR", "LOOPBACK", "TOKEN", "Client", "checked_url"]
