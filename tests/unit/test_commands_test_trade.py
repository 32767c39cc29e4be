"""`trade-engine test-trade` as it is typed: exit codes, questions, what it prints, over HTTP."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import orjson
import pytest
import typer

from commands.main import run
from commands.refusal import CheckFailedError, PartlyFailedError, RefusedError
from commands.test_trade import _end, _lots
from core.control.file import halt_path, read_control
from core.home import Home
from tests.unit.paper_side import BTC, ETH, Exchange, configure, running_exchange
from tests.venues import WORDS

WORDS_TYPED = ["test-trade", "--account", "main", "--symbol", BTC]
Screen = pytest.CaptureFixture[str]


@pytest.fixture
def exchange(home: Home) -> Iterator[Exchange]:
    yield from running_exchange(home)


@pytest.mark.parametrize(
    "option", [pytest.param([], id="long"), pytest.param(["--short"], id="short")]
)
def test_a_test_trade_shows_both_legs_and_ends_flat_with_0(
    home: Home, exchange: Exchange, capsys: Screen, option: list[str]
) -> None:
    exchange.hold(ETH, "-2")
    assert run([*WORDS_TYPED, *option]) == 0

    said = capsys.readouterr().out
    assert "All ok: main traded BTCUSDT and is flat again." in said
    assert "open" in said
    assert "close" in said
    assert exchange.sizes() == {ETH: "-2"}
    assert exchange.orders() == [(BTC, False), (BTC, True)]
    assert read_control(home).errands == ()


def test_a_program_gets_one_document(exchange: Exchange, capsys: Screen) -> None:
    assert run([*WORDS_TYPED, "--json"]) == 0

    document = orjson.loads(capsys.readouterr().out)
    assert (document["outcome"], document["side"]) == ("done", "long")
    assert [leg["what"] for leg in document["legs"]] == ["open", "close"]
    assert all(Decimal(leg["fee_usdt"]) > 0 for leg in document["legs"])
    assert exchange.sizes() == {}


def test_where_something_is_held_it_is_refused_with_4(exchange: Exchange, capsys: Screen) -> None:
    exchange.hold(BTC, "0.1")

    assert run(WORDS_TYPED) == 4
    assert "0.1 lots is held already" in capsys.readouterr().err
    assert exchange.orders() == []


def test_what_cannot_be_opened_ends_in_3_with_nothing_left(
    exchange: Exchange, capsys: Screen
) -> None:
    words = WORDS["bybit"]
    code = words.codes["risk_limit"]
    exchange.server.add_fault("refuse", code=code, **words.leverage.fault)
    exchange.server.add_fault("reject_order", code=words.codes["symbol"])
    ended = run([*WORDS_TYPED, "--lots", "1000"])  # far more than one order may be worth

    assert ended in {3, 4}
    assert "max_order_share" in capsys.readouterr().err
    assert exchange.sizes() == {}
    assert exchange.orders() == []


def test_real_money_is_asked_for_by_the_name_of_the_account(
    home: Home, exchange: Exchange, capsys: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(home, exchange, environment="live")

    assert run(WORDS_TYPED) == 4
    assert "nobody is there to ask" in capsys.readouterr().err
    asked: list[str] = []

    def prompt(question: str, **_: object) -> str:
        asked.append(question)
        return "yes"

    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr(typer, "prompt", prompt)
    assert run(WORDS_TYPED) == 4
    assert "not confirmed" in capsys.readouterr().err
    assert "with real money" in asked[0]
    assert "Type main" in asked[0]
    monkeypatch.setattr(typer, "prompt", lambda *_args, **_kwargs: "main")
    assert run(WORDS_TYPED) == 4
    assert "./trade-engine arm main" in capsys.readouterr().err
    assert exchange.orders() == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(["--account", "nobody", "--symbol", BTC], "there are: main", id="account"),
        pytest.param(["--account", "main", "--symbol", "NOPE"], "NOPE is not listed", id="symbol"),
    ],
)
def test_a_name_that_is_not_there_is_refused(
    exchange: Exchange, capsys: Screen, words: list[str], said: str
) -> None:
    assert run(["test-trade", *words]) == 4
    assert said in capsys.readouterr().err
    assert exchange.orders() == []


def test_under_the_halt_file_and_on_a_disabled_account_it_is_refused(
    home: Home, exchange: Exchange, capsys: Screen
) -> None:
    halt_path(home).touch()
    assert run(WORDS_TYPED) == 4
    assert f"rm {halt_path(home)}" in capsys.readouterr().err
    halt_path(home).unlink()
    configure(home, exchange, enabled=False)

    assert run(WORDS_TYPED) == 4
    assert "disabled" in capsys.readouterr().err
    assert exchange.server.requests() == []


@pytest.mark.parametrize(
    ("outcome", "error", "said"),
    [
        ("refused", RefusedError, "why"),
        ("failed", CheckFailedError, "nothing is left of it"),
        ("left", PartlyFailedError, "A POSITION IS LEFT"),
        ("unknown", PartlyFailedError, "nobody knows"),
    ],
)
def test_each_outcome_has_its_exit_code(outcome: str, error: type[Exception], said: str) -> None:
    result: dict[str, Any] = {"outcome": outcome, "text": "why"}

    with pytest.raises(error, match=said):
        _end(result)


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "many"])
def test_a_size_that_is_none_is_a_wrong_word(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="--lots"):
        _lots(text)
