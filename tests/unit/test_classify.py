"""What a failed call means for what we do next: a table over every known answer of each venue."""

import pytest

from account_processors import venue_profiles
from account_processors.transport.classify import (
    KEY_REMEDIES,
    Failure,
    Verdict,
    classify,
    said_by,
    scrub,
)
from core.errors import (
    CredentialsError,
    MaintenanceError,
    NotPlacedError,
    RateLimitedError,
    RejectedError,
    TradeEngineError,
    UnknownOutcomeError,
)
from tests.unit.recorded_answers import RECORDED, Answer, body, in_rows, recorded_answers, table

PROFILES = venue_profiles()
ANSWERS = [pytest.param(*row, id=f"{row[0].venue}-{row[0].label[:40]}") for row in table()]


def said(code: str, text: str) -> str:
    """An answer of one venue, where any would do."""
    return body("bybit", code, text)


def judged(
    text: str,
    *names: str,
    venue: str = "bybit",
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
    return classify(failure, PROFILES[venue])


@pytest.mark.parametrize(("answer", "write", "read"), ANSWERS)
def test_each_recorded_answer_says_what_to_do_next(answer: Answer, write: str, read: str) -> None:
    if not answer.raised:  # ccxt passes it on: the reply itself is looked at
        assert (write, read) == ("looked at", "looked at")
        return

    assert answer.means(is_write=True) == write
    assert answer.means(is_write=False) == read


def test_a_refusal_is_only_ever_a_venue_s_own_known_word() -> None:
    """The rule that decides money, over the whole table and codes that nobody described."""
    for answer, write, _ in table():
        code, text = said_by(answer.text, PROFILES[answer.venue])
        is_known = PROFILES[answer.venue].meaning(code, text) is not None
        assert is_known or not write.startswith("refused"), answer
    for venue, profile in PROFILES.items():
        for code in ("424242", "1", "-7"):
            is_known = profile.meaning(code) is not None
            names = ("InvalidOrder", "InsufficientFunds", "ExchangeError")
            error = judged(body(venue, code), *names, venue=venue).error
            assert is_known or type(error) is UnknownOutcomeError, (venue, code)


def test_no_answer_to_a_read_is_a_refusal_or_says_that_there_is_nothing() -> None:
    allowed = ("transient", "credentials", "limited", "maintenance", "looked at")

    assert [read for _, _, read in table() if not read.startswith(allowed)] == []


def test_the_table_covers_every_recorded_answer_of_every_venue() -> None:
    if not RECORDED.exists():
        pytest.skip("the recorded answers are not here")
    seen = list(recorded_answers())
    lines = [line for line in RECORDED.read_text(encoding="utf-8").splitlines() if line.strip()]

    assert len(seen) == len(lines)
    assert [answer for answer, _, _ in table()] == seen
    assert {answer.venue for answer in seen} == set(PROFILES)


@pytest.mark.parametrize("quoted", ["110043", '"110043"', ' "110043"'])
def test_a17_a_code_is_found_quoted_or_not(quoted: str) -> None:
    text = f'bybit {{"retCode":{quoted},"retMsg":"leverage not modified"}}'

    assert said_by(text, PROFILES["bybit"]) == ("110043", "leverage not modified")
    assert judged(text, "BadRequest").meaning == "already_so"


@pytest.mark.parametrize(
    ("text", "status", "retry_after_s", "wait_s", "limits"),
    [
        pytest.param(said("10006", "Too many visits"), 200, 3, 3, "group", id="b17-header-reset"),
        pytest.param(said("10006", "Too many visits"), 200, None, 1, "group", id="b17-no-header"),
        pytest.param(said("10018", "Exceeded IP limit"), 200, None, 1, "ip", id="b17-ip"),
        pytest.param("RateLimitExceeded: access too frequent", 403, None, 600, "ip", id="b17-ban"),
        pytest.param("RateLimitExceeded: nginx forbidden", 403, None, 60, "ip", id="b17-403"),
        pytest.param(said("10006", "Too many"), 403, None, 60, "ip", id="b17-403-with-code"),
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
        pytest.param(said("0", "OK"), ("ExchangeNotAvailable",), 500, id="500-with-success"),
        pytest.param(said("110007", "no"), ("ExchangeNotAvailable",), 500, id="500-with-code"),
        pytest.param("TypeError: None", ("TypeError", "Exception"), 200, id="parser"),
        pytest.param("system under maintenance", ("OnMaintenance",), 200, id="words-only"),
        pytest.param(said("555", "who knows"), ("ExchangeError",), 200, id="unknown-code"),
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
            said("10016", "Server under maintenance"), ("ExchangeError",), 200, id="words"
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


@pytest.mark.parametrize("venue", PROFILES)
def test_a_refused_key_says_the_remedy_and_never_quotes_the_request(venue: str) -> None:
    told = {m: codes for m, codes in PROFILES[venue].codes.items() if m in KEY_REMEDIES}
    for meaning, codes in told.items():
        for code in codes.split():
            text = body(venue, code, "origin_string[1MYKEY12345000qty=1]")
            error = judged(text, "ExchangeError", venue=venue).error

            assert isinstance(error, CredentialsError)
            assert KEY_REMEDIES[meaning] in str(error)
            assert "credentials.json" in str(error)
            assert "MYKEY" not in str(error)
            assert "origin" not in str(error)
    assert {"key", "signature", "permission", "ip"} <= set(told)


@pytest.mark.parametrize("venue", PROFILES)
@pytest.mark.parametrize(("status", "code"), [(500, ""), (502, "margin"), (504, "success")])
def test_a_server_error_leaves_a_write_unknown_whatever_it_says(
    venue: str, status: int, code: str
) -> None:
    profile = PROFILES[venue]
    told = profile.codes["margin"].split()[0] if code == "margin" else profile.success[1]
    text = body(venue, told) if code and told.isdigit() else "<html>"

    assert type(judged(text, "x", venue=venue, status=status).error) is UnknownOutcomeError


@pytest.mark.parametrize("venue", [name for name, one in PROFILES.items() if one.order_rows])
def test_a_reason_in_the_rows_is_found_under_an_envelope_of_success(venue: str) -> None:
    profile = PROFILES[venue]
    code = profile.codes["margin"].split()[0]
    outer = profile.success[1] if profile.success[1].isdigit() else "0"
    error = judged(in_rows(venue, outer, [code]), "InsufficientFunds", venue=venue).error

    assert isinstance(error, RejectedError)
    assert (error.kind, error.code) == ("margin", code)
    assert type(judged(in_rows(venue, outer, []), "x", venue=venue).error) is UnknownOutcomeError


def test_a15_a_hedge_mode_refusal_says_what_to_do_about_it() -> None:
    error = judged(said("10001", "position idx not match position mode"), "BadRequest").error

    assert isinstance(error, RejectedError)
    assert error.kind == "mode"
    assert "one-way" in str(error)


def test_c2_no_key_or_signature_in_any_error_text() -> None:
    signature = "4ba497281730b7d1aa8f9153cb8a98cf55a0ac454d603c6a4871b1ea312ad073"
    text = f"RequestTimeout: POST key=MYKEY1234 sign={signature} origin_string[55MYKEY1234x] y"

    shown = scrub(text, ("MYKEY1234", "MYSECRET99"))

    assert "MYKEY" not in shown
    assert signature not in shown
    assert "origin_string" not in shown
    assert shown.endswith("y")
