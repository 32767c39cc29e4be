"""Translates a failed call into one of our errors: pure, from what was said and nothing else.

The rule that decides money: a write is called refused only on a venue's own, known word. Whatever
else happened to it (time-out, reset, 5xx, garbage, a code we do not know) leaves it unknown.
"""

import json
import re
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Final, Literal

from account_processors.transport.profile import Meaning, Profile
from account_processors.transport.rows import dig
from account_processors.transport.rows import text as plain_text
from core.errors import (
    ClockSkewError,
    CredentialsError,
    MaintenanceError,
    NotPlacedError,
    RateLimitedError,
    RejectedError,
    TradeEngineError,
    TransientError,
    UnknownOutcomeError,
)

IP_BAN_S: Final = 600  # "wait at least 10 minutes" is what the venue asks after its 403
FORBIDDEN_S: Final = 60  # a 403 that gives no reason
LIMITED_S: Final = 1  # a per-second budget is free again after a second
MAX_TEXT: Final = 300

KEY_REMEDIES: Final[dict[str, str]] = {
    "key": "the API key is unknown here: a demo key works on demo only, a live key on live only",
    "signature": "the signature was refused: enter the API secret again",
    "permission": "the key lacks a permission: allow reading and trading of derivatives",
    "ip": "this host's address is not on the key's IP list: add it, or use a key without a list",
    "expired": "the key has expired: make a new one",
    "region": "the venue does not serve this account or this host's country",
    "banned": "the venue has banned trading for this account: ask its support",
    "account_type": "the account is of the wrong kind: upgrade it to a unified trading account",
}
REMEDY: Final = "then correct credentials.json and restart trade-engine"
OTHER_MODE_TEXT: Final = (
    "its position mode (one-way or hedge) is not the one that was read last; it is read again"
    " before the next order"
)

_MODE_TEXT = re.compile(r"position[\s_]*(idx|mode|side)", re.IGNORECASE)
_TOO_FREQUENT = re.compile(r"too frequent", re.IGNORECASE)
_COUNTRY = re.compile(r"your country|restricted (location|region|area)", re.IGNORECASE)
_CLOSED = re.compile(r"\bmaintenance\b|being upgraded|system upgrade", re.IGNORECASE)
# an error text is for people: nothing in it may help to sign a request
_SECRETS = (
    re.compile(r"origin_string\s*\[[^\]]*\]?"),
    re.compile(r"\b[0-9a-fA-F]{32,}\b"),
    re.compile(r"\b[A-Za-z0-9+/]{43,}={1,2}"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """What is known of a call that failed."""

    names: Collection[str]  # class names of the exception and its bases
    text: str
    is_write: bool
    has_left: bool = True  # False: the request never left this process
    status: int | None = None  # HTTP status, None = no reply
    retry_after_s: int | None = None  # as the reply's headers have it
    secrets: Collection[str] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The error, what the venue's code means, and whose budget a RateLimitedError is about."""

    error: TradeEngineError
    meaning: Meaning | None = None
    limits: Literal["ip", "group", ""] = ""


def classify(failure: Failure, profile: Profile) -> Verdict:
    """Tell what to do next about a failed call."""
    code, message = said_by(failure.text, profile)
    meaning = None if code in ("", profile.success[1]) else profile.meaning(code, message)
    text = _describe(code, message, failure, profile)
    wait_s = failure.retry_after_s or profile.silences_s.get(code)
    limited = _rate_limit(
        meaning, replace(failure, retry_after_s=wait_s), text, profile.ip_silence_s
    )
    if limited is not None:
        return limited
    if meaning in KEY_REMEDIES:
        # these texts quote the request that was refused: only the code is repeated
        error: TradeEngineError = CredentialsError(_key_text(meaning, code, profile))
    elif meaning == "clock":
        error = _clock_error(text, is_write=failure.is_write)
    elif meaning == "nonce" and failure.is_write:
        error = NotPlacedError(f"{text}: two requests bore the same nonce; it goes again")
    elif failure.is_write:
        error = _write_error(meaning, code, failure, text)
    else:
        error = _read_error(meaning, failure, text, message)
    return Verdict(error=error, meaning=meaning)


def said_by(text: str, profile: Profile) -> tuple[str, str]:
    """Find the venue's own code and message in an exception's text; "" = none.

    A code that only says "see the rows", and one of success under which the call failed all the
    same, give way to that of the first row that failed.
    """
    envelope = _json_in(text)
    code = plain_text(dig(envelope, (profile.code_field,)))
    message = plain_text(dig(envelope, (profile.message_field,)))
    is_success = plain_text(dig(envelope, (profile.success[0],))) == profile.success[1]
    if is_success or code in profile.wrappers:
        rows = dig(envelope, profile.order_rows)
        for row in rows if isinstance(rows, list) else ():
            inner = plain_text(dig(row, (profile.batch_code,)))
            if inner not in {"", "0", profile.success[1]}:
                return inner, plain_text(dig(row, (profile.batch_message,)))
    if code:
        return code, message
    found = re.search(rf'"{re.escape(profile.code_field)}"\s*:\s*"?(-?\d+)', text)  # cut short
    return found.group(1) if found else "", text


def _json_in(text: str) -> object:
    start = text.find("{")
    try:
        return json.loads(text[start:]) if start >= 0 else None
    except ValueError:
        return None


def scrub(text: str, secrets: Collection[str]) -> str:
    """Take keys, signatures and the string that was signed out of a text for people."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "***")
    for pattern in _SECRETS:
        text = pattern.sub("***", text)
    return text[:MAX_TEXT]


def rejection(meaning: Meaning, code: str, text: str) -> RejectedError:
    """Build the refusal of a write that the venue gave a reason for."""
    if meaning == "mode" and _MODE_TEXT.search(text):
        text = f"{text}: {OTHER_MODE_TEXT}"
    return RejectedError(text, kind=meaning, code=code)


def _rate_limit(
    meaning: Meaning | None, failure: Failure, text: str, ip_silence_s: int
) -> Verdict | None:
    if failure.status == HTTPStatus.FORBIDDEN:
        return _forbidden(meaning, failure, text)
    if meaning == "rate_limit":
        return _limited(text, failure.retry_after_s or LIMITED_S, "group")
    is_limited = meaning == "ip_rate_limit" or failure.status == HTTPStatus.TOO_MANY_REQUESTS
    if is_limited or (meaning is None and "RateLimitExceeded" in failure.names):
        return _limited(text, failure.retry_after_s or ip_silence_s, "ip")
    return None


def _forbidden(meaning: Meaning | None, failure: Failure, text: str) -> Verdict | None:
    """Tell a ban for too many requests from a country that is not served and a refused key."""
    is_known = meaning is not None and meaning not in ("rate_limit", "ip_rate_limit")
    if is_known:
        return None
    if meaning is None and _COUNTRY.search(failure.text):
        return Verdict(error=CredentialsError(f"{KEY_REMEDIES['region']} ({text})"))
    is_ban = _TOO_FREQUENT.search(failure.text) is not None
    return _limited(text, failure.retry_after_s or (IP_BAN_S if is_ban else FORBIDDEN_S), "ip")


def _limited(text: str, retry_after_s: int, limits: Literal["ip", "group"]) -> Verdict:
    said = f"{text}; next try in {retry_after_s} s"
    return Verdict(error=RateLimitedError(said, retry_after_s=retry_after_s), limits=limits)


def _write_error(
    meaning: Meaning | None, code: str, failure: Failure, text: str
) -> TradeEngineError:
    if not failure.has_left:
        return _never_left(failure, text)
    if meaning == "maintenance":
        return MaintenanceError(text)
    if meaning is None or meaning in ("unknown", "already_so") or _is_server_error(failure):
        return UnknownOutcomeError(text)
    return rejection(meaning, code, text)


def _never_left(failure: Failure, text: str) -> TradeEngineError:
    """Tell the refusals of ccxt itself, and connections that were never made."""
    names = failure.names
    if "InvalidOrder" in names:
        return RejectedError(text, kind="size")
    if "BadSymbol" in names:
        return RejectedError(text, kind="symbol")
    if "AuthenticationError" in names:
        return CredentialsError(f"{text}; enter the missing key in credentials.json")
    if "ExchangeError" in names:
        return RejectedError(text, kind="other")
    return NotPlacedError(text)


def _read_error(
    meaning: Meaning | None, failure: Failure, text: str, message: str
) -> TradeEngineError:
    is_closed = "OnMaintenance" in failure.names or meaning == "maintenance"
    if is_closed or failure.status == HTTPStatus.SERVICE_UNAVAILABLE or _CLOSED.search(message):
        return MaintenanceError(text)
    if "AuthenticationError" in failure.names and not meaning:
        return CredentialsError(f"{text}; check the key, {REMEDY}")
    return TransientError(text)


def _clock_error(text: str, *, is_write: bool) -> TradeEngineError:
    said = f"{text}: this host's clock differs from the venue's; set it by NTP"
    return ClockSkewError(said) if is_write else TransientError(said)


def _is_server_error(failure: Failure) -> bool:
    return failure.status is not None and failure.status >= HTTPStatus.INTERNAL_SERVER_ERROR


def _key_text(meaning: Meaning | None, code: str, profile: Profile) -> str:
    return f"{profile.exchange} {code}: {KEY_REMEDIES[str(meaning)]}; {REMEDY}"


def _describe(code: str, message: str, failure: Failure, profile: Profile) -> str:
    if code:
        text = f"{profile.exchange} {code} {message}"
    else:
        status = f"HTTP {failure.status} " if failure.status not in (None, HTTPStatus.OK) else ""
        text = f"{status}{failure.text}"
    return scrub(text, failure.secrets)
