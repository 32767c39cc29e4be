"""What a failed call means for what we do next: a table over every known answer of Bybit."""

import re
from pathlib import Path

import pytest

from account_processors.bybit import PROFILE
from account_processors.transport.classify import (
    KEY_REMEDIES,
    Failure,
    Verdict,
    classify,
    said_by,
    scrub,
)
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

RECORDED = Path(__file__).resolve().parents[3] / "shared/data/ccxt_recorded/errors.txt"

# code, text, what ccxt makes of it, and what a write's answer means to us
CODES: list[tuple[str, str, str, type[TradeEngineError], str]] = [
    ("10001", "params error: Qty invalid", "BadRequest", RejectedError, "other"),
    ("10001", "position idx not match position mode", "BadRequest", RejectedError, "mode"),
    ("10002", "please check your server timestamp", "InvalidNonce", ClockSkewError, ""),
    ("10003", "API key is invalid.", "AuthenticationError", CredentialsError, ""),
    ("10004", "error sign! origin_string[...]", "AuthenticationError", CredentialsError, ""),
    ("10005", "Permission denied", "PermissionDenied", CredentialsError, ""),
    ("10006", "Too many visits.", "RateLimitExceeded", RateLimitedError, ""),
    ("10010", "Unmatched IP", "PermissionDenied", CredentialsError, ""),
    ("10014", "Invalid duplicate request", "BadRequest", UnknownOutcomeError, ""),
    ("10016", "Internal server error", "ExchangeError", UnknownOutcomeError, ""),
    ("10018", "Exceeded IP rate limit", "RateLimitExceeded", RateLimitedError, ""),
    ("10024", "The product is not available", "PermissionDenied", CredentialsError, ""),
    ("10027", "Transactions are banned.", "PermissionDenied", CredentialsError, ""),
    ("10028", "only unified account users", "PermissionDenied", CredentialsError, ""),
    ("10029", "The requested symbol is invalid", "PermissionDenied", RejectedError, "symbol"),
    ("33004", "Your api key has expired.", "AuthenticationError", CredentialsError, ""),
    ("110001", "Order does not exist", "OrderNotFound", RejectedError, "not_found"),
    ("110003", "Order price exceeds the range", "InvalidOrder", RejectedError, "price"),
    ("110004", "Wallet balance is insufficient", "InsufficientFunds", RejectedError, "margin"),
    ("110007", "ab not enough for new order", "InsufficientFunds", RejectedError, "margin"),
    ("110012", "Insufficient available balance", "InsufficientFunds", RejectedError, "margin"),
    ("110013", "leverage: risk limit", "BadRequest", RejectedError, "risk_limit"),
    ("110017", "reduce-only rule", "InvalidOrder", RejectedError, "nothing_to_reduce"),
    ("110020", "more than 500 active orders", "InvalidOrder", RejectedError, "other"),
    ("110025", "Position mode has not been modified", "NoChange", UnknownOutcomeError, ""),
    ("110026", "margin mode not modified", "MarginModeAlreadySet", UnknownOutcomeError, ""),
    ("110028", "existing positions/orders", "BadRequest", RejectedError, "mode"),
    ("110024", "existing position", "BadRequest", RejectedError, "mode"),
    ("110043", "leverage not modified", "BadRequest", UnknownOutcomeError, ""),
    ("110044", "Insufficient available margin", "InsufficientFunds", RejectedError, "margin"),
    ("110045", "Wallet balance is insufficient", "InsufficientFunds", RejectedError, "margin"),
    ("110072", "OrderLinkedID is duplicate", "InvalidOrder", RejectedError, "duplicate_id"),
    ("110074", "This contract is not live", "ExchangeError", RejectedError, "symbol"),
    ("110090", "The risk limit exceeded", "ExchangeError", RejectedError, "risk_limit"),
    ("110092", "expect Rising", "InvalidOrder", RejectedError, "price"),
    ("110094", "minimum order value 5USDT", "InvalidOrder", RejectedError, "size"),
    ("110126", "x", "ExchangeError", UnknownOutcomeError, ""),
    ("100028", "unified account users", "PermissionDenied", CredentialsError, ""),
    ("3400045", "Set margin mode failed", "ExchangeError", RejectedError, "mode"),
    ("3400214", "Server error, try again later", "ExchangeError", UnknownOutcomeError, ""),
    ("170131", "Balance insufficient.", "InsufficientFunds", RejectedError, "margin"),
    ("182107", "unknown code", "ExchangeError", UnknownOutcomeError, ""),
]


def body(code: str, text: str) -> str:
    return f'bybit {{"retCode":{code},"retMsg":"{text}","result":{{}},"retExtInfo":{{}},"time":1}}'


def judged(
    text: str,
    *names: str,
    is_write: bool = True,
    status: int | None = 200,
    has_left: bool = True,
    retry_after_s: int | None = None,
) -> Verdict:
    failure = Failure(
        names=names,
        text=text,
        is_write=is_write,
        status=status,
        has_left=has_left,
        retry_after_s=retry_after_s,
        secrets=("MYKEY1234", "MYSECRET99"),
    )
    return classify(failure, PROFILE)


@pytest.mark.parametrize(("code", "text", "name", "kind", "reason"), CODES)
def test_each_code_on_a_write_says_what_to_do_next(
    code: str, text: str, name: str, kind: type[TradeEngineError], reason: str
) -> None:
    error = judged(body(code, text), name).error

    assert type(error) is kind
    if isinstance(error, RejectedError):
        assert (error.kind, error.code) == (reason, code)


@pytest.mark.parametrize(("code", "text", "name", "kind", "reason"), CODES)
def test_no_code_on_a_read_says_that_there_is_nothing(
    code: str, text: str, name: str, kind: type[TradeEngineError], reason: str
) -> None:
    assert reason is not None
    error = judged(body(code, text), name, is_write=False).error

    same = kind in {CredentialsError, RateLimitedError}
    assert type(error) is (kind if same else TransientError)


def test_the_table_covers_every_recorded_answer() -> None:
    if not RECORDED.exists():
        pytest.skip("the recorded answers are not here")
    lines = [line for line in RECORDED.read_text().splitlines() if line.startswith("bybit")]
    form = re.compile(r"bybit +(\d{4,}) (.*?) {2,}HTTP (\d+) -> (\w+)")
    seen = [found.groups() for line in lines if (found := form.match(line))]
    table = {(code, name) for code, _, name, _, _ in CODES}

    assert len(seen) == 42
    assert {(code, name) for code, _, _, name in seen} == table
    for code, text, status, name in seen:
        error = judged(body(code, text), name, status=int(status)).error
        wanted = {kind for known, _, _, kind, _ in CODES if known == code}
        assert type(error) in wanted, code


@pytest.mark.parametrize("quoted", ["110043", '"110043"', ' "110043"'])
def test_a17_a_code_is_found_quoted_or_not(quoted: str) -> None:
    text = f'bybit {{"retCode":{quoted},"retMsg":"leverage not modified"}}'

    assert said_by(text, PROFILE) == ("110043", "leverage not modified")
    assert judged(text, "BadRequest").meaning == "already_so"


@pytest.mark.parametrize(
    ("text", "status", "retry_after_s", "wait_s", "limits"),
    [
        pytest.param(body("10006", "Too many visits"), 200, 3, 3, "group", id="b17-header-reset"),
        pytest.param(body("10006", "Too many visits"), 200, None, 1, "group", id="b17-no-header"),
        pytest.param(body("10018", "Exceeded IP limit"), 200, None, 1, "ip", id="b17-ip"),
        pytest.param("RateLimitExceeded: access too frequent", 403, None, 600, "ip", id="b17-ban"),
        pytest.param("RateLimitExceeded: nginx forbidden", 403, None, 60, "ip", id="b17-403"),
        pytest.param(body("10006", "Too many"), 403, None, 60, "ip", id="b17-403-with-code"),
        pytest.param("RateLimitExceeded: slow down", 429, 7, 7, "ip", id="b17-429-retry-after"),
        pytest.param("RateLimitExceeded: slow down", 429, None, 1, "ip", id="b17-429"),
    ],
)
def test_b17_a_refusal_for_the_rate_was_not_placed_and_says_how_long_to_wait(
    text: str, status: int, retry_after_s: int | None, wait_s: int, limits: str
) -> None:
    for is_write in (True, False):
        verdict = judged(text, status=status, retry_after_s=retry_after_s, is_write=is_write)

        assert isinstance(verdict.error, RateLimitedError)
        assert isinstance(verdict.error, NotPlacedError)
        assert verdict.error.retry_after_s == wait_s
        assert verdict.limits == limits


@pytest.mark.parametrize(
    ("text", "names", "status"),
    [
        pytest.param("RequestTimeout: bybit POST", ("RequestTimeout",), None, id="time-out"),
        pytest.param("ExchangeNotAvailable", ("ExchangeNotAvailable",), None, id="reset"),
        pytest.param("<html>Bad gateway", ("ExchangeNotAvailable",), 502, id="502"),
        pytest.param("<html>Unavailable", ("ExchangeNotAvailable",), 503, id="503"),
        pytest.param(body("0", "OK"), ("ExchangeNotAvailable",), 500, id="500-with-success"),
        pytest.param(body("110007", "no"), ("ExchangeNotAvailable",), 500, id="500-with-code"),
        pytest.param("TypeError: None", ("TypeError", "Exception"), 200, id="parser"),
        pytest.param("system under maintenance", ("OnMaintenance",), 200, id="words-only"),
        pytest.param(body("555", "who knows"), ("ExchangeError",), 200, id="unknown-code"),
    ],
)
def test_a_write_is_unknown_unless_the_venue_s_own_word_refuses_it(
    text: str, names: tuple[str, ...], status: int | None
) -> None:
    assert type(judged(text, *names, status=status).error) is UnknownOutcomeError


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (("InvalidOrder", "ExchangeError"), RejectedError),
        (("BadSymbol", "BadRequest", "ExchangeError"), RejectedError),
        (("ArgumentsRequired", "ExchangeError"), RejectedError),
        (("AuthenticationError", "ExchangeError"), CredentialsError),
        (("ExchangeNotAvailable", "NetworkError"), NotPlacedError),
    ],
)
def test_a_write_that_never_left_was_certainly_not_placed(
    names: tuple[str, ...], kind: type[TradeEngineError]
) -> None:
    assert type(judged("local", *names, status=None, has_left=False).error) is kind


@pytest.mark.parametrize(
    ("text", "names", "status"),
    [
        pytest.param("<html>Unavailable", ("ExchangeNotAvailable",), 503, id="503"),
        pytest.param("x", ("OnMaintenance", "ExchangeNotAvailable"), 200, id="class"),
        pytest.param(
            body("10016", "Server under maintenance"), ("ExchangeError",), 200, id="words"
        ),
    ],
)
def test_b20_maintenance_is_recognised_on_reads(
    text: str, names: tuple[str, ...], status: int
) -> None:
    assert type(judged(text, *names, status=status, is_write=False).error) is MaintenanceError


def test_a_country_that_is_not_served_parks_the_account() -> None:
    text = "configured to block access from your country"

    assert type(judged(text, "RateLimitExceeded", status=403).error) is CredentialsError


@pytest.mark.parametrize("meaning", sorted(KEY_REMEDIES))
def test_a_refused_key_says_the_remedy_and_never_quotes_the_request(meaning: str) -> None:
    codes = [codes for name, codes in PROFILE.codes.items() if name == meaning]
    for code in codes[0].split():
        error = judged(body(code, "origin_string[1MYKEY12345000qty=1]"), "ExchangeError").error

        assert isinstance(error, CredentialsError)
        assert KEY_REMEDIES[meaning] in str(error)
        assert "credentials.json" in str(error)
        assert "MYKEY" not in str(error)
        assert "origin" not in str(error)


def test_a15_a_hedge_mode_refusal_says_what_to_do_about_it() -> None:
    error = judged(body("10001", "position idx not match position mode"), "BadRequest").error

    assert isinstance(error, RejectedError)
    assert error.kind == "mode"
    assert "one-way" in str(error)


def test_c2_no_key_or_signature_in_any_error_text() -> None:
    signature = "4ba497281730b7d1aa8f9153cb8a98cf55a0ac454d603c6a4871b1ea312ad073"
    text = f"RequestTimeout: POST key=MYKEY1234 sign={signature} origin_string[55MYKEY1234x] y"

    said = scrub(text, ("MYKEY1234", "MYSECRET99"))

    assert "MYKEY" not in said
    assert signature not in said
    assert "origin_string" not in said
    assert said.endswith("y")


def test_no_code_of_bybit_has_two_meanings() -> None:
    codes = [code for codes in PROFILE.codes.values() for code in codes.split()]

    assert len(codes) == len(set(codes))
