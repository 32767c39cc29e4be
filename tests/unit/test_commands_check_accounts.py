"""What `check` says of an account, and what it all adds up to: facts in, findings out, by table."""

from decimal import Decimal

import pytest
from pydantic import SecretStr

from account_processors.probing import KeyProbe
from commands.checks.accounts import DAY_MS, AccountSeen, judge_account
from commands.checks.findings import Finding, Place, State, ago, document, listed, verdict, worst
from core.model import AccountMode, KeyFacts
from core.settings import AccountConfig

NOW = 1_800_000_000_000
GOOD = KeyFacts(can_read=True, can_trade=True, can_withdraw=False, allowed_ips=("10.0.0.1",))
ONE_WAY = AccountMode(margin_mode="cross", is_hedged=False)


def account(**changes: object) -> AccountConfig:
    row = {
        "name": "main",
        "exchange": "bybit",
        "environment": "live",
        "api_key": SecretStr("KEY"),
        "api_secret": SecretStr("SECRET"),
    }
    return AccountConfig.model_validate({**row, **changes})


def judged(
    facts: KeyFacts = GOOD,
    *,
    mode: AccountMode = ONE_WAY,
    skew_ms: int = 0,
    equity: str | None = "1000",
    allows_withdrawal: bool = False,
    **changes: object,
) -> dict[str, Finding]:
    """Give the findings by what they are about."""
    probe = KeyProbe(
        equity_usdt=None if equity is None else Decimal(equity),
        free_margin_usdt=Decimal(900),
        facts=facts,
        mode=mode,
        skew_ms=skew_ms,
    )
    seen = AccountSeen(account=account(**changes), probe=probe, is_armed=True)
    found = judge_account(seen, now_ms=NOW, allows_withdrawal=allows_withdrawal)
    return {row.what: row for row in found}


def test_an_account_in_order_has_no_warning() -> None:
    found = judged()

    assert {row.state for row in found.values()} == {State.OK}
    assert {row.where for row in found.values()} == {"main"}
    assert {"key", "right to trade", "right to withdraw", "clock", "equity"} <= set(found)


@pytest.mark.parametrize(
    ("can_trade", "can_withdraw", "states"),
    [
        pytest.param(True, False, (State.OK, State.OK), id="as-it-should-be"),
        pytest.param(False, False, (State.FAIL, State.OK), id="read-only"),
        pytest.param(True, True, (State.OK, State.FAIL), id="withdraws"),
        pytest.param(None, None, (State.UNKNOWN, State.UNKNOWN), id="not-told"),
        pytest.param(None, True, (State.UNKNOWN, State.FAIL), id="half-told"),
    ],
)
def test_c3_rights_are_judged_and_what_is_not_told_is_unknown(
    can_trade: bool | None, can_withdraw: bool | None, states: tuple[State, State]
) -> None:
    found = judged(KeyFacts(can_trade=can_trade, can_withdraw=can_withdraw))

    assert (found["right to trade"].state, found["right to withdraw"].state) == states


def test_c3_a_withdrawal_right_that_is_allowed_is_still_told() -> None:
    found = judged(KeyFacts(can_withdraw=True), allows_withdrawal=True)

    assert found["right to withdraw"].state is State.WARN


@pytest.mark.parametrize(
    ("days", "state", "text"),
    [
        pytest.param(-0.1, State.FAIL, "ended", id="over"),
        pytest.param(0.5, State.WARN, "TODAY", id="today"),
        pytest.param(3, State.WARN, "in 3 days: make a new key this week", id="this-week"),
        pytest.param(10, State.WARN, "in 10 days: make a new key in time", id="two-weeks"),
        pytest.param(15, State.OK, "in 15 days", id="later"),
    ],
)
def test_the_end_of_a_key_is_told_in_time(days: float, state: State, text: str) -> None:
    found = judged(KeyFacts(expires_at_ms=NOW + round(days * DAY_MS)))["key's end"]

    assert found.state is state
    assert text in found.detail


def test_no_end_is_no_line() -> None:
    assert "key's end" not in judged()


@pytest.mark.parametrize(
    ("ips", "environment", "state"),
    [
        pytest.param((), "live", State.WARN, id="everywhere"),
        pytest.param((), "paper", State.OK, id="paper"),
        pytest.param(("10.0.0.1",), "live", State.OK, id="bound"),
        pytest.param(None, "live", None, id="not-told"),
    ],
)
def test_a_key_without_addresses_is_told(
    ips: tuple[str, ...] | None, environment: str, state: State | None
) -> None:
    found = judged(KeyFacts(allowed_ips=ips), environment=environment).get("addresses")

    assert (found and found.state) is state


@pytest.mark.parametrize(
    ("skew_ms", "state"),
    [
        pytest.param(999, State.OK, id="within"),
        pytest.param(-1_001, State.WARN, id="a-second"),
        pytest.param(5_000, State.WARN, id="five"),
        pytest.param(-5_001, State.FAIL, id="beyond-five"),
    ],
)
def test_b18_a_skewed_clock_is_told(skew_ms: int, state: State) -> None:
    assert judged(skew_ms=skew_ms)["clock"].state is state


@pytest.mark.parametrize(
    ("mode", "state"),
    [
        pytest.param(ONE_WAY, State.OK, id="one-way"),
        pytest.param(AccountMode(margin_mode=None, is_hedged=True), State.OK, id="hedge"),
        pytest.param(
            AccountMode(margin_mode=None, is_hedged=True, refusal="not supported"),
            State.FAIL,
            id="refused",
        ),
        pytest.param(AccountMode(margin_mode=None, is_hedged=None), State.UNKNOWN, id="not-told"),
    ],
)
def test_a15_hedge_mode_is_told_as_supported_or_refused(mode: AccountMode, state: State) -> None:
    assert judged(mode=mode)["position mode"].state is state


@pytest.mark.parametrize(
    ("wanted", "kept", "state", "text"),
    [
        pytest.param("keep", "cross", State.OK, "cross", id="keep"),
        pytest.param("isolated", "cross", State.OK, "is switched to isolated", id="switched"),
        pytest.param("isolated", "portfolio", State.WARN, "nothing is opened", id="portfolio"),
        pytest.param("keep", "portfolio", State.OK, "portfolio", id="portfolio-kept"),
        pytest.param("cross", None, State.OK, "cross, set before opening", id="by-symbol"),
    ],
)
def test_the_margin_mode_is_told(wanted: str, kept: str | None, state: State, text: str) -> None:
    mode = AccountMode(margin_mode=kept, is_hedged=False)
    found = judged(mode=mode, margin_mode=wanted)["margin mode"]

    assert found.state is state
    assert text in found.detail


@pytest.mark.parametrize(
    ("equity", "state"),
    [
        pytest.param("0.01", State.OK, id="some"),
        pytest.param("0", State.WARN, id="none"),
        pytest.param(None, State.FAIL, id="not-told"),
    ],
)
def test_money_is_told(equity: str | None, state: State) -> None:
    assert judged(equity=equity)["equity"].state is state


def test_an_account_that_cannot_be_read_gives_one_failure_and_no_rights() -> None:
    probe = KeyProbe(error="bybit 10003: unknown key", is_refused=True, skew_ms=10)
    seen = AccountSeen(account=account(), probe=probe, is_armed=False)
    found = {row.what: row for row in judge_account(seen, now_ms=NOW)}

    assert set(found) == {"trading", "key", "clock"}
    assert found["key"].detail == "bybit 10003: unknown key"
    assert "arm main" in found["trading"].detail


AT = Place(where="main")


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        pytest.param([AT.ok("a", "")], "All ok", id="ok"),
        pytest.param([AT.warn("a", "")], "All ok, 1 warning", id="one"),
        pytest.param(
            [AT.warn("a", ""), AT.warn("b", ""), AT.unknown("c", "")],
            "All ok, 2 warnings, 1 unknown", id="two",
        ),
        pytest.param(
            [AT.fail("key", ""), AT.warn("b", ""), AT.fail("clock", "")],
            "2 checks failed: main key, main clock", id="failed",
        ),
    ],
)  # fmt: skip
def test_the_verdict_counts_or_names(rows: list[Finding], text: str) -> None:
    assert verdict(rows) == text
    assert document(rows)["ok"] is text.startswith("All ok")


def test_small_words() -> None:
    assert ago(3_661_999) == "1:01:01 ago"
    assert ago(-5) == "0:00:00 ago"
    assert listed("cba") == "a, b, c"
    assert listed("gfedcba") == "a, b, c, d, e and 2 more"
    assert worst([State.OK, State.UNKNOWN, State.WARN]) is State.WARN
    assert worst([]) is State.OK
