"""Answers that ccxt was recorded to meet, rebuilt: the body of each, and what ccxt raised.

`tests/data/venue_answers.txt` says of each what it means to us: on a write, on a read.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from account_processors import venue_profiles
from account_processors.transport.classify import Failure, Verdict, classify
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
from core.home import CHECKOUT

TABLE = CHECKOUT / "tests/data/venue_answers.txt"
RECORDED = Path(__file__).resolve().parents[3] / "shared/data/ccxt_recorded/errors.txt"
VENUES = {"kucoinfutures": "kucoin"}  # names in the file: ours
LINE = re.compile(r"(\w+) +(.*?) +HTTP (\d+) -> (\w+)(?: \(([\w/]*)\))?")
CODE = re.compile(r"(?:outer )?(\d+)(?: (.*))?")
INNER = re.compile(r"inner data\[0\]\.code (\d+) (.*)")
JSON = re.compile(r"HTTP \d+ json (?:retCode|code) (\d+)", re.IGNORECASE)
FORMS = {
    "bybit": '{{"retCode":{code},"retMsg":{text},"result":{{}},"retExtInfo":{{}},"time":1}}',
    "blofin": '{{"code":"{code}","msg":{text}}}',
    "kucoin": '{{"code":"{code}","msg":{text}}}',
    "mexc": '{{"success":false,"code":{code},"message":{text}}}',
}
# answers that say what they say in rows: outer code, then the rows' codes
IN_ROWS = {
    ("blofin", "outer 1 with inner 103003"): ("1", ["103003"]),
    ("blofin", "create_orders second fails"): ("2", ["0", "103003"]),
    ("mexc", "cancel inner errorCode 2041"): ("0", ["2041"]),
    ("kucoin", "cancel not found 200000 w/ msg? 100004"): ("100004", []),
}
WORDS: Mapping[type[TradeEngineError], str] = {
    ClockSkewError: "clock",
    CredentialsError: "credentials",
    MaintenanceError: "maintenance",
    NotPlacedError: "not placed",
    TransientError: "transient",
    UnknownOutcomeError: "unknown",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """One recorded line."""

    venue: str
    label: str
    status: int
    raised: tuple[str, ...]  # the exception's class and its bases; none = ccxt saw no error
    text: str

    def means(self, *, is_write: bool) -> str:
        """What it means to us, in a word or two."""
        failure = Failure(
            names=frozenset(self.raised),
            text=f"{self.raised[0]}: {self.venue} {self.text}",
            is_write=is_write,
            status=self.status,
        )
        return worded(classify(failure, venue_profiles()[self.venue]))


def worded(verdict: Verdict) -> str:
    error = verdict.error
    if isinstance(error, RejectedError):
        return f"refused {error.kind}"
    if isinstance(error, RateLimitedError):
        return f"limited {verdict.limits} {error.retry_after_s} s"
    return WORDS[type(error)]


def body(venue: str, code: str, text: str = "no") -> str:
    """An answer with a code, as the venue gives it."""
    return FORMS[venue].format(code=code, text=json.dumps(text))


def in_rows(venue: str, outer: str, codes: list[str]) -> str:
    """An answer whose reasons are in its rows."""
    profile = venue_profiles()[venue]
    rows = [{profile.batch_code: code, profile.batch_message: "no"} for code in codes]
    envelope: dict[str, object] = {profile.success[0]: True, profile.code_field: outer}
    return json.dumps({**envelope, profile.order_rows[-1]: rows})


def recorded_answers() -> Iterator[Answer]:
    """Every line of the file."""
    for line in RECORDED.read_text(encoding="utf-8").splitlines():
        found = LINE.match(line)
        if found:
            name, label, status, raised, bases = found.groups()
            venue = VENUES.get(name, name)
            classes = () if raised == "OK" else (raised, *(bases or "").split("/"))
            yield Answer(venue, label, int(status), classes, _text(venue, label))


def table() -> Iterator[tuple[Answer, str, str]]:
    """Our table: the answer, what it means on a write, what on a read."""
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        if line.startswith("#") or not line:
            continue
        venue, label, status, raised, write, read = (part.strip() for part in line.split("|"))
        classes = tuple(raised.split("/")) if raised else ()
        yield Answer(venue, label, int(status), classes, _text(venue, label)), write, read


def _text(venue: str, label: str) -> str:
    if (venue, label) in IN_ROWS:
        outer, codes = IN_ROWS[venue, label]
        return in_rows(venue, outer, codes) if codes else body(venue, outer)
    inner, plain, told = INNER.fullmatch(label), CODE.fullmatch(label), JSON.search(label)
    if inner:
        return in_rows(venue, "0", [inner[1]])
    if plain:
        return body(venue, plain[1], plain[2] or "")
    return body(venue, told[1]) if told else label
