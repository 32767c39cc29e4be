"""`trade-engine flatten` as it is typed: exit codes, what it prints, over HTTP, with no engine."""

from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from commands.main import run
from core.control import EVERYTHING
from core.control.file import halt_path, read_control
from core.home import Home
from core.model import Mode
from core.process.lease import try_lock
from tests.unit.paper_side import BTC, ETH, Exchange, configure, running_exchange
from tests.venues import WORDS

Screen = pytest.CaptureFixture[str]


@pytest.fixture
def exchange(home: Home) -> Iterator[Exchange]:
    yield from running_exchange(home)


def told(screen: Screen, *words: str) -> tuple[int, dict[str, Any]]:
    """Run the command for a program; gives its exit code and its document."""
    screen.readouterr()
    code = run(["flatten", *words, "--json"])
    return code, orjson.loads(screen.readouterr().out)


def test_with_no_engine_the_command_closes_all_itself_and_ends_in_0(
    home: Home, exchange: Exchange, capsys: Screen
) -> None:
    exchange.hold(BTC, "0.1")
    exchange.hold(ETH, "-2")
    code, document = told(capsys)

    assert (code, document["is_flat"], document["left"]) == (0, True, [])
    assert document["accounts"] == ["main"]
    assert exchange.sizes() == {}
    assert sorted(exchange.orders()) == [(BTC, True), (ETH, True)]
    lease = try_lock(home.state / "trade-engine.lock")
    assert lease is not None, "the lock is held after the end"
    lease.release()
    entry = read_control(home).mode_of(EVERYTHING)
    assert entry is not None
    assert entry.mode is Mode.FLATTEN


def test_what_the_venue_refuses_to_close_is_named_exactly_and_ends_in_5(
    exchange: Exchange, capsys: Screen
) -> None:
    exchange.hold(BTC, "0.1")
    exchange.hold(ETH, "-2")
    code = WORDS["bybit"].codes["unknown"]
    exchange.server.add_fault("reject_order", symbol=ETH, code=code, text="no [bold]way[/]")
    ended, document = told(capsys, "--wait", "3")

    assert (ended, document["is_flat"], document["goes_on"]) == (5, False, False)
    assert [(row["symbol"], row["lots"]) for row in document["left"]] == [(ETH, "-2")]
    assert all(row["why"] for row in document["left"])
    assert exchange.sizes() == {ETH: "-2"}
    assert all(reduces for _, reduces in exchange.orders())


def test_a_person_reads_what_is_left_and_what_to_do(exchange: Exchange, capsys: Screen) -> None:
    exchange.hold(BTC, "0.1")
    exchange.server.add_fault("reject_order", code=WORDS["bybit"].codes["unknown"])

    assert run(["flatten", "--wait", "1"]) == 5
    said = capsys.readouterr().out
    assert "NOT FLAT" in said
    assert "BTCUSDT" in said
    assert "0.1" in said
    assert "run this again" in said


def test_a_person_reads_that_all_is_flat_and_how_to_go_on(
    exchange: Exchange, capsys: Screen
) -> None:
    exchange.hold(BTC, "0.1")

    assert run(["flatten"]) == 0
    said = capsys.readouterr().out
    assert "Flat: everything (main)" in said
    assert "./trade-engine resume" in said


def test_an_unarmed_live_account_ends_in_5_with_the_remedy_and_sends_nothing(
    home: Home, exchange: Exchange, capsys: Screen
) -> None:
    configure(home, exchange, environment="live")
    exchange.hold(BTC, "0.1")
    code, document = told(capsys, "--yes")

    assert code == 5
    assert [(row["symbol"], row["lots"]) for row in document["left"]] == [(BTC, "0.1")]
    assert "./trade-engine arm main" in document["left"][0]["why"]
    assert exchange.sizes() == {BTC: "0.1"}
    assert exchange.orders() == []


def test_a_venue_that_does_not_answer_is_left_as_unknown(
    exchange: Exchange, capsys: Screen
) -> None:
    exchange.hold(BTC, "0.1")
    exchange.server.add_fault("maintenance")
    code, document = told(capsys, "--wait", "2")
    (left,) = document["left"]

    assert code == 5
    assert (left["account"], left["symbol"], left["lots"]) == ("main", None, None)
    assert exchange.sizes() == {BTC: "0.1"}


def test_under_the_halt_file_nothing_is_tried(
    home: Home, exchange: Exchange, capsys: Screen
) -> None:
    exchange.hold(BTC, "0.1")
    halt_path(home).touch()

    assert run(["flatten", "--yes"]) == 4
    assert f"rm {halt_path(home)}" in capsys.readouterr().err
    assert exchange.server.requests() == []


def test_a_symbol_that_is_not_held_is_told_flat(exchange: Exchange, capsys: Screen) -> None:
    exchange.hold(ETH, "-2")
    code, document = told(capsys, BTC, "--wait", "20")

    assert (code, document["left"]) == (0, [])
    assert document["scope"] == {"account": None, "symbol": BTC}
    assert exchange.sizes() == {ETH: "-2"}
    assert exchange.orders() == []
