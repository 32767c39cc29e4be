"""Reads that fail, lie or come late: A1, A2, A27, A31."""

from decimal import Decimal
from pathlib import Path

import pytest

from core.cycle import PassReport
from tests.drills.stage import BTC, ETH, Stage, stage


async def long_a_tenth(here: Stage) -> None:
    """Hold 0.1 BTC, opened by the engine."""
    await here.start()
    await here.settled(await here.alert("long", "2/100"))
    assert here.held() == Decimal("0.1")
    here.forget()


async def adopt_a_tenth(here: Stage) -> None:
    """Hold 0.1 BTC without a fill of ours, margin unknown: nothing but the read itself protects."""
    here.trade(Decimal("0.1"))
    here.break_at(here.words.wallet, "fields", values=here.unknown_margin)
    await here.start()
    await here.settled(await here.alert("long", "2/100"))
    assert here.orders() == []
    here.forget()


def failed(report: PassReport) -> bool:
    return report.positions_failed


def is_long(report: PassReport) -> bool:
    """True where the venue asked for a pause longer than a drill."""
    return (report.retry_after_s or 0) > 5


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"kind": "http", "status": 502}, id="bad-gateway"),
        pytest.param({"kind": "garbage", "shape": "html"}, id="html-with-200"),
        pytest.param({"kind": "garbage", "shape": "truncated"}, id="half-a-reply"),
        pytest.param({"kind": "garbage", "shape": "empty"}, id="no-body"),
        pytest.param({"kind": "drop_before"}, id="reset"),
        pytest.param({"kind": "hang_after", "s": None}, id="time-out"),
        pytest.param({"kind": "refuse", "code": "unknown"}, id="server-error-code"),
        pytest.param({"kind": "rate_limit"}, id="rate-limit"),
    ],
)
async def test_a1_failed_position_read_sends_nothing(
    tmp_path: Path, venue: str, fault: dict[str, object]
) -> None:
    """The read failed, was taken for "flat", and the full target was bought on top.

    Must happen: no order while positions cannot be read; the rest once they can.
    """
    async with stage(tmp_path, venue, request_timeout_s=0.3) as here:
        await adopt_a_tenth(here)
        if "code" in fault:
            fault = {**fault, "code": here.words.codes[str(fault["code"])]}
        here.break_at(here.words.positions, **fault)  # type: ignore[arg-type] # its kind
        first = await here.passed(since=await here.alert("long", "4/100"), where=failed)
        if is_long(first[0]):
            assert here.orders() == []
            return
        await here.passed(since=await here.alert("long", "5/100"), where=failed)

        assert here.orders() == []
        assert here.held() == Decimal("0.1")
        assert here.status()["read_failures"]
        assert f"external_change/main/{BTC}" not in here.alerts()
        here.server.clear_faults()
        await here.settled(await here.alert("long", "4/100"))
        assert here.held() == here.target()
        assert len(here.orders()) == 1


async def test_a1_the_third_failed_read_raises_an_alert(tmp_path: Path, venue: str) -> None:
    """A failing read went unnoticed. Must happen: an alert after three, over when it reads."""
    async with stage(tmp_path, venue) as here:
        await long_a_tenth(here)
        here.break_at(here.words.positions, "http", status=503)
        signal = await here.alert("long", "4/100")
        await here.passed(1, since=signal, where=failed)
        assert "reads/main" not in here.alerts()
        await here.passed(3, since=signal, where=failed)

        assert "reads/main" in here.alerts()
        assert here.orders() == []
        here.server.clear_faults()
        await here.settled(await here.alert("long", "4/100"))
        assert "reads/main" not in here.alerts()


async def test_a1_a_flat_target_closes_what_is_expected_without_a_read(
    tmp_path: Path, venue: str
) -> None:
    """Positions cannot be read when the exit comes.

    Must happen: what the journal says we hold is closed, reduce-only; it opens nothing.
    """
    async with stage(tmp_path, venue) as here:
        await long_a_tenth(here)
        here.break_at(here.words.positions, "http", status=502)
        await here.alert("flat")
        await here.until(lambda: here.held() == 0, "closed")

        assert [(o.size_lots, o.reduce_only) for o in here.orders()] == [(Decimal("-0.1"), True)]


def empty_fields(here: Stage) -> dict[str, object]:
    """All that a position may lack, "" or null."""
    fields = here.profile.position
    optional = (fields.entry, fields.mark, fields.leverage, fields.unrealized_pnl)
    more = {"liqPrice": None, "liquidatePrice": "", "positionIM": "", "im": None, "posMargin": ""}
    return {**{name: (None, "")[i % 2] for i, name in enumerate(optional) if name}, **more}


async def test_a2_missing_optional_fields_do_not_hide_a_position(
    tmp_path: Path, venue: str
) -> None:
    """`leverage: ""` (portfolio margin) broke the parser: "flat", so the exit never came.

    Must happen: the size is read all the same, nothing is bought again and the exit closes.
    """
    async with stage(tmp_path, venue) as here:
        await long_a_tenth(here)
        here.break_at(here.words.positions, "fields", values=empty_fields(here))
        await here.settled(await here.alert("long", "2/100"))
        assert here.orders() == []
        await here.settled(await here.alert("flat"))

        assert here.held() == 0
        assert [o.reduce_only for o in here.orders()] == [True]


@pytest.mark.parametrize("size", ["", None, "nan", "many"])
async def test_a2_a_row_without_a_size_is_unknown_and_only_that_symbol(
    tmp_path: Path, venue: str, size: object
) -> None:
    """Must happen: nothing for the symbol whose size is unreadable; the other symbol trades."""
    async with stage(tmp_path, venue) as here:
        await long_a_tenth(here)
        here.break_at(here.words.positions, "fields", values={here.profile.position.size: size})
        await here.alert("long", "4/100")
        signal = await here.alert("long", "1/100", symbol=ETH)
        await here.until(lambda: here.held(ETH) != 0, "ETH bought")
        await here.passed(since=signal)

        assert {o.symbol for o in here.orders()} == {ETH}
        assert "read_unreadable" in here.symbol_status()["reason"]
        assert here.held() == Decimal("0.1")


async def test_a27_an_empty_list_while_margin_is_in_use_buys_nothing(
    tmp_path: Path, venue: str
) -> None:
    """Degraded, the exchange answered 200 with an empty list: "no positions", bought again.

    Must happen: margin in use without a position is unknown; no order, no external change.
    """
    async with stage(tmp_path, venue) as here:
        await long_a_tenth(here)
        here.break_at(here.words.positions, "empty")
        await here.passed(since=await here.alert("long", "5/100"), where=failed)
        await here.passed(since=await here.alert("long", "4/100"), where=failed)

        assert here.orders() == []
        assert "margin is in use" in str(here.status()["read_failures"])
        assert not here.symbol_status()["hold"]
        here.server.clear_faults()
        await here.settled(await here.alert("long", "3/100"))
        assert len(here.orders()) == 1


async def test_a31_a_read_that_does_not_show_our_fill_yet_buys_no_second_time(
    tmp_path: Path,
    venue: str,
) -> None:
    """The order was filled; the next read, fresh and well-formed, did not show it: bought again.

    Must happen: one order; the symbol waits, says why, and is done when the read shows it.
    """
    async with stage(tmp_path, venue) as here:
        await here.start()
        await here.settled(await here.alert("flat"))
        here.forget()
        here.break_at(here.words.positions, "stale")  # as it stands now, for ever
        signal = await here.alert("long", "2/100")
        await here.until(lambda: here.held() == Decimal("0.1"), "filled")
        await here.passed(2, since=signal, where=lambda r: r.is_unsettled or r.positions_failed)

        assert len(here.orders()) == 1
        assert here.symbol_status()["reason"].startswith("read_")
        here.server.clear_faults()
        await here.settled(signal)
        assert len(here.orders()) == 1
        assert here.held() == Decimal("0.1")


async def test_b2_a_failed_instrument_read_is_not_cached(tmp_path: Path, venue: str) -> None:
    """One failed read of the instruments was cached for an hour: nothing traded meanwhile.

    Must happen: read again at the next try.
    """
    async with stage(tmp_path, venue) as here:
        here.break_at(here.words.instruments, "http", status=502, count=2)
        await here.start()
        await here.settled(await here.alert("long", "2/100"))

        assert here.held() == Decimal("0.1")
