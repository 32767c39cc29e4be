"""The write-ahead journal: ids, order of disk and belief, restatement, refusal of the disk."""

from decimal import Decimal

import pytest

from core.intents import (
    ClientIds,
    OrdersJournal,
    decode,
    engine_of,
    intents_for,
    new_engine_id,
)
from core.ledger import Held, Intended
from core.model import Order
from tests.engine.harness import MemoryLog

DAY_MS = 86_400_000
NOON = 1_700_000_000_000


class SetClock:
    def __init__(self) -> None:
        self.at_ms = NOON

    def now_ms(self) -> int:
        return self.at_ms

    def monotonic_ms(self) -> int:
        return self.at_ms

    async def sleep(self, seconds: float) -> None:
        self.at_ms += int(seconds * 1000)


def order(size: str = "1", *, reduce_only: bool = False) -> Order:
    return Order(symbol="BTCUSDT", size_lots=Decimal(size), reduce_only=reduce_only)


def held(lots: str, clock: SetClock) -> Held:
    return Held(symbol="BTCUSDT", lots=Decimal(lots), at_ms=clock.now_ms(), is_ours=True)


def test_a_client_id_is_24_characters_that_every_venue_takes() -> None:
    engine_id = new_engine_id()
    ids = ClientIds(engine_id, "acct", SetClock())
    minted = [ids.mint() for _ in range(2000)]

    assert len(set(minted)) == 2000
    for client_id in minted:
        assert len(client_id) == 24
        assert client_id.isalnum()
        assert client_id.islower() or client_id.isdigit()
        assert engine_of(client_id) == engine_id


@pytest.mark.parametrize("client_id", ["", "web-123", "te123", "xx" + "a" * 22])
def test_an_id_that_is_not_of_our_kind_has_no_engine(client_id: str) -> None:
    assert engine_of(client_id) is None


async def test_an_increase_is_believed_only_once_it_is_on_disk() -> None:
    clock, disk = SetClock(), MemoryLog()
    journal = OrdersJournal(disk, clock)
    (intent,) = intents_for([order()], ClientIds("abcde", "acct", clock), {}, NOON)
    disk.is_full = True
    with pytest.raises(OSError, match="No space"):
        await journal.intend("one", [intent])
    assert not journal.ledger("one", "BTCUSDT").open
    disk.is_full = False
    await journal.intend("one", [intent])

    assert [i.client_id for i in journal.ledger("one", "BTCUSDT").open] == [intent.client_id]
    assert journal.disk_error == ""


async def test_facts_that_the_disk_refused_are_restated_when_it_takes_them() -> None:
    clock, disk = SetClock(), MemoryLog()
    journal = OrdersJournal(disk, clock)
    await journal.record("one", [held("1", clock)])
    disk.is_full = True
    await journal.record("one", [held("2", clock)])
    assert journal.disk_error
    assert journal.ledger("one", "BTCUSDT").expected_lots == 2
    disk.is_full = False
    other = Held(symbol="ETHUSDT", lots=Decimal(1), at_ms=NOON, is_ours=True)
    await journal.record("one", [other])
    again = OrdersJournal(MemoryLog(), clock)

    assert again.replay(disk.rows) == 0
    assert again.ledger("one", "BTCUSDT").expected_lots == 2


async def test_the_first_row_of_a_new_day_restates_everything_open() -> None:
    clock, disk = SetClock(), MemoryLog()
    journal = OrdersJournal(disk, clock)
    (intent,) = intents_for([order()], ClientIds("abcde", "acct", clock), {"BTCUSDT": "v"}, NOON)
    await journal.record("one", [held("1", clock)])
    await journal.intend("one", [intent])
    yesterday = len(disk.rows)
    clock.at_ms += DAY_MS
    await journal.record("two", [held("5", clock)])
    again = OrdersJournal(MemoryLog(), clock)

    assert again.replay(disk.rows[yesterday:]) == 0
    ledger = again.ledger("one", "BTCUSDT")
    assert ledger.expected_lots == 1
    assert [(i.client_id, i.version) for i in ledger.open] == [(intent.client_id, "v")]
    assert again.symbols("two") == ("BTCUSDT",)


async def test_a_row_that_cannot_be_read_is_skipped_and_counted() -> None:
    clock = SetClock()
    journal = OrdersJournal(MemoryLog(), clock)
    bad: list[dict[str, object]] = [{}, {"t": "held"}]
    bad.append({"t": "x", "account": "a", "symbol": "s", "at_ms": 1})
    good: dict[str, object] = {
        "t": "held",
        "account": "one",
        "symbol": "BTCUSDT",
        "at_ms": 1,
        "lots": "3",
        "is_ours": True,
        "hold": None,
    }
    assert journal.replay([*bad, good, {**good, "lots": "three"}]) == 4
    assert journal.ledger("one", "BTCUSDT").expected_lots == 3


def test_a_status_that_does_not_exist_is_refused() -> None:
    row = {
        "t": "learned",
        "account": "a",
        "symbol": "s",
        "at_ms": 1,
        "client_id": "c",
        "status": "maybe",
        "filled_lots": "0",
        "order_id": "",
        "reason": "",
    }
    with pytest.raises(ValueError, match="not a row"):
        decode(row)


def test_one_intent_an_order() -> None:
    ids = ClientIds("abcde", "acct", SetClock())
    found = intents_for([order("1"), order("-1", reduce_only=True)], ids, {}, NOON)
    assert [type(i) for i in found] == [Intended, Intended]
    assert [(i.size_lots, i.reduce_only) for i in found] == [
        (Decimal(1), False),
        (Decimal(-1), True),
    ]
