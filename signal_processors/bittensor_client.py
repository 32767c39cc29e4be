"""Asks an SN8 validator over HTTP: bounded in bytes and time, and only for what is new.

Judges no payload: whether miners and positions make sense is decided by who reads `Fetched.body`,
and who finds it bad says `forget`, or the same body would count as known.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from core.errors import TransientError
from core.ports import Clock
from signal_processors.bittensor_access import (
    PLACE,
    Access,
    Kind,
    RedirectedError,
    open_session,
    why,
)
from signal_processors.bittensor_inflate import (
    Coding,
    Fault,
    InflateError,
    coding_of,
    digest_of,
    inflate,
)

Reason = Literal[
    "unauthorized",
    "forbidden_tier",
    "rate_limited",
    "bad_request",
    "not_built",
    "not_found",
    "unavailable",
    "redirected",
    "unexpected_status",
    "not_json",
    "html",
    "not_an_object",
    "too_large",
    "truncated",
    "damaged",
    "not_available",
]

OK: Final = 200
SERVER_ERRORS: Final = 500
MOST_ERROR_BYTES: Final = 64 * 1024
MOST_RETRY_AFTER_S: Final = 3600
EDGE: Final = 64  # bytes at either end of a body that are looked at
FAILURES: Final = (aiohttp.ClientError, HttpProcessingError, OSError, TimeoutError)

CONFIG: Final = "bittensor_processor_config.json: fetching"
REMEDIES: Final[Mapping[Reason, str]] = {
    "unauthorized": f"the key is not known there: check api_key and auth_style ({PLACE})",
    "forbidden_tier": f"the key does not open this: set the tier it was given ({PLACE}.tier)",
    "rate_limited": f"too many requests: raise poll_interval_s ({CONFIG})",
    "bad_request": f"the request is not understood: tier must be 0, 30, 50 or 100 ({PLACE}.tier)",
    "not_built": "the validator is starting and has no data yet: nothing to do but wait",
    "not_found": f"there is no such address: check the path of endpoint ({PLACE}.endpoint)",
    "unavailable": f"wait, or name another validator ({PLACE}.endpoint)",
    "redirected": f"the key is not taken there: enter the final address ({PLACE}.endpoint)",
    "unexpected_status": f"is this an SN8 data API? ({PLACE}.endpoint)",
    "not_json": f"the answer is no JSON: is this an SN8 data API? ({PLACE}.endpoint)",
    "html": f"the answer is a web page: enter the address of the data API ({PLACE}.endpoint)",
    "not_an_object": f"the answer has the wrong shape: check the path ({PLACE}.endpoint)",
    "truncated": "the answer was cut short: it is asked for again",
    "damaged": "the answer cannot be unpacked: it is asked for again",
}
TOO_LARGE: Final = (
    "the answer is larger than {key} allows; raise it only if the network grew ({where})"
)
OTHER_URL: Final = (
    f"the key is bound to one exact URL: enter the one it was given for, query included"
    f" ({PLACE}.endpoint)"
)
BY_STATUS: Final[Mapping[int, Reason]] = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden_tier",
    404: "not_found",
    429: "rate_limited",
}


class FetchError(TransientError):
    """Nothing was read, and nothing may be concluded from that.

    Attributes:
        reason: a code for status and alerts; see `Reason`.
        retry_after_s: seconds the server asks us to wait; None = it does not say.
    """

    def __init__(self, text: str, *, reason: Reason, retry_after_s: int | None = None) -> None:
        super().__init__(text)
        self.reason: Reason = reason
        self.retry_after_s = retry_after_s


class NotAvailableError(FetchError):
    """This kind of data is not to be had by this access, now or later: nothing was asked."""

    def __init__(self, text: str) -> None:
        super().__init__(text, reason="not_available")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What an answer may cost: bytes and seconds."""

    max_compressed_bytes: int = 64 * 1024 * 1024
    max_decoded_bytes: int = 256 * 1024 * 1024
    connect_s: float = 5
    silence_s: float = 10  # without a single byte
    total_s: float = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """An answer that is whole and looks like JSON."""

    kind: Kind
    body: bytes  # unpacked; b"" if unchanged
    digest: str  # of the body as it came, the time of packing left out
    compressed_bytes: int  # as it came
    decoded_bytes: int
    fetched_at_ms: int  # our clock, when the request began
    is_unchanged: bool = False  # the same as the last of this kind


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    digest: str
    decoded_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Head:
    status: int
    coding: str
    retry_after: str


class ValidatorClient:
    """Reads one validator, or who stands in for it; `close` gives its connections back."""

    def __init__(self, access: Access, *, clock: Clock, limits: Limits | None = None) -> None:
        self._access = access
        self._clock = clock
        self._limits = limits or Limits()
        self._known: dict[Kind, _Known] = {}
        self._session: aiohttp.ClientSession | None = None

    async def fetch(self, kind: Kind) -> Fetched:
        """Read one kind of data. Raises FetchError, and NotAvailableError before asking."""
        url = self._access.url(kind)
        if url is None:
            text = f"{kind} cannot be read from this endpoint with {self._access.auth_style}"
            raise NotAvailableError(f"{text} ({PLACE}.auth_style)")
        began_at_ms = self._clock.now_ms()
        head, packed = await self._read(url)
        if head.status != OK:
            raise self._refusal(head, bytes(packed))
        fetched = await asyncio.to_thread(self._judged, kind, packed, head.coding, began_at_ms)
        # not in the thread: who was cancelled meanwhile has not seen the body
        known = _Known(digest=fetched.digest, decoded_bytes=fetched.decoded_bytes)
        self._known[kind] = known
        return fetched

    def forget(self, kind: Kind) -> None:
        """Have the next body of a kind unpacked even if it is the one that was read last."""
        self._known.pop(kind, None)

    async def close(self) -> None:
        """Close the connections; a later fetch opens new ones."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _read(self, url: URL) -> tuple[_Head, bytearray]:
        if self._session is None or self._session.closed:
            timeout = aiohttp.ClientTimeout(
                total=self._limits.total_s,
                connect=self._limits.connect_s,
                sock_read=self._limits.silence_s,
            )
            self._session = open_session(timeout)
        head: _Head | None = None
        packed = bytearray()
        headers = {
            **self._access.headers(),
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
        }
        try:
            async with self._session.get(url, headers=headers, json=self._access.body()) as answer:
                head = _head_of(answer)
                is_over = await _collect(answer, packed, self._most_bytes(head))
        except FAILURES as error:
            is_over = False
            failure = self._failure(error, head)
        else:
            failure = None
        # raised here, outside: the library's own error would quote the address
        if failure is not None:
            raise failure
        if head is None or (is_over and head.status == OK):
            raise self._error("too_large", self._too_large("max_compressed_mb"))
        return head, packed

    def _most_bytes(self, head: _Head) -> int:
        return self._limits.max_compressed_bytes if head.status == OK else MOST_ERROR_BYTES

    def _failure(self, error: Exception, head: _Head | None) -> FetchError | None:
        if isinstance(error, TimeoutError):
            return self._error("unavailable", why(error))
        if head is None:
            is_elsewhere = isinstance(error, RedirectedError | aiohttp.TooManyRedirects)
            return self._error("redirected" if is_elsewhere else "unavailable", why(error))
        # the words of a refusal are lost, but not the refusal
        return self._error("truncated", why(error)) if head.status == OK else None

    def _refusal(self, head: _Head, packed: bytes) -> FetchError:
        said = self._access.said(_plain(packed, head.coding))
        reason: Reason = BY_STATUS.get(head.status, "unexpected_status")
        if head.status >= SERVER_ERRORS:
            reason = "unavailable"
        elif reason == "not_found" and "data not found" in said.lower():
            reason = "not_built"
        elif reason == "forbidden_tier" and "rate limit" in said.lower():
            reason = "rate_limited"
        remedy = None
        if reason == "forbidden_tier" and self._access.auth_style == "request_network":
            remedy = OTHER_URL
        words = f"{head.status} {said}".strip()
        return self._error(reason, words, remedy=remedy, retry_after_s=_seconds(head.retry_after))

    def _judged(self, kind: Kind, packed: bytearray, said: str, began_at_ms: int) -> Fetched:
        """Unpack what is new; runs in a thread."""
        coding = coding_of(packed, said)
        digest = digest_of(packed, coding)
        known = self._known.get(kind)
        is_unchanged = known is not None and known.digest == digest
        body = b"" if is_unchanged else self._unpacked(packed, coding)
        if not is_unchanged:
            self._require_shape(kind, body)
        return Fetched(
            kind=kind,
            body=body,
            digest=digest,
            compressed_bytes=len(packed),
            decoded_bytes=known.decoded_bytes if known and is_unchanged else len(body),
            fetched_at_ms=began_at_ms,
            is_unchanged=is_unchanged,
        )

    def _unpacked(self, packed: bytearray, coding: Coding) -> bytes:
        fault: Fault
        try:
            return inflate(packed, coding, max_bytes=self._limits.max_decoded_bytes)
        except InflateError as error:
            fault = error.fault
        if fault == "too_large":
            raise self._error("too_large", self._too_large("max_decoded_mb"))
        raise self._error(fault, f"{len(packed)} bytes of {coding}")

    def _require_shape(self, kind: Kind, body: bytes) -> None:
        """Look at both ends only: reading all of it is the caller's work."""
        first, last = body[:EDGE].lstrip()[:1], body[-EDGE:].rstrip()[-1:]
        ends = {b"{": b"}"} if kind != "eliminations" else {b"{": b"}", b"[": b"]"}
        if first == b"<":
            raise self._error("html", self._access.said(body[:MOST_ERROR_BYTES]))
        if first in ends and last != ends[first]:
            raise self._error("truncated", f"{len(body)} bytes")
        if first not in ends:
            is_other = first != b"" and first in b'["-0123456789tfn'
            raise self._error("not_an_object" if is_other else "not_json", f"{len(body)} bytes")

    def _too_large(self, key: str) -> str:
        return TOO_LARGE.format(key=key, where=f"{CONFIG}.{key}")

    def _error(
        self,
        reason: Reason,
        words: str,
        *,
        remedy: str | None = None,
        retry_after_s: int | None = None,
    ) -> FetchError:
        remedy = remedy or REMEDIES.get(reason, "")
        text = f"{self._access.host}: {words}" + (f": {remedy}" if remedy else "")
        return FetchError(text, reason=reason, retry_after_s=retry_after_s)


def _head_of(answer: aiohttp.ClientResponse) -> _Head:
    return _Head(
        status=answer.status,
        coding=answer.headers.get("Content-Encoding", ""),
        retry_after=answer.headers.get("Retry-After", ""),
    )


async def _collect(answer: aiohttp.ClientResponse, into: bytearray, most: int) -> bool:
    """Read a body as far as it may go; True = there is more, and the connection is closed."""
    if answer.content_length is not None and answer.content_length > most:
        answer.close()
        return True
    async for chunk in answer.content.iter_any():
        into += chunk
        if len(into) > most:
            answer.close()
            return True
    return False


def _plain(packed: bytes, said: str) -> bytes:
    """Unpack the words of a refusal where that is possible."""
    try:
        return inflate(packed, coding_of(packed, said), max_bytes=MOST_ERROR_BYTES)
    except InflateError:
        return b""


def _seconds(said: str) -> int | None:
    is_number = said.isascii() and said.isdigit() and len(said) < len(str(2**31))
    return min(int(said), MOST_RETRY_AFTER_S) if is_number else None
