"""Where many stories of the lane begin, and ways to misbehave that the venue's faults do not have.

A call of the fake venue is replaced by another one that obeys the same port.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from core.cycle import SymbolReport
from core.errors import TradeEngineError, TransientError, UnknownOutcomeError
from core.lanes.roster import CLOSED_DOWN
from core.model import OrderRequest, PlacedOrder
from tests.engine.harness import Engine

S = "BTCUSDT"
A, B = "AUSDT", "BUSDT"
TIME_OUT_S = 12.0  # what our transport waits for an answer

Call = Callable[..., Awaitable[Any]]
Answers = tuple[PlacedOrder | TradeEngineError, ...]


def replace_call(engine: Engine, name: str, call: Call) -> Call:
    """Make the venue answer one of its calls differently; gives the honest one."""
    honest: Call = getattr(engine.venue, name)
    setattr(engine.venue, name, call)
    return honest


async def hung(*_: object) -> Any:
    """Answer nothing until the time-out."""
    await asyncio.sleep(TIME_OUT_S)
    message = "timed out"
    raise TransientError(message)


async def failing(*_: object) -> Any:
    """Fail at once."""
    message = "no connection"
    raise TransientError(message)


def refuse_orders(engine: Engine, error: TradeEngineError) -> None:
    """Answer every order with `error`; none is executed."""

    async def refused(orders: Sequence[OrderRequest], **_: object) -> Answers:
        engine.venue.placed.extend(orders)
        return tuple(error for _ in orders)

    replace_call(engine, "place_orders", refused)


def hang_increases(engine: Engine) -> None:
    """Let increases get no answer and never happen; reductions are answered."""

    async def place(orders: Sequence[OrderRequest], **_: object) -> Answers:
        if all(o.reduce_only for o in orders):
            answers: Answers = await honest(orders)
            return answers
        await asyncio.sleep(TIME_OUT_S)
        return tuple(UnknownOutcomeError("no answer") for _ in orders)

    honest = replace_call(engine, "place_orders", place)


async def holding(
    tmp_path: Path, lots: Decimal | str | int, *, symbols: tuple[str, ...] = (S,), **limits: Any
) -> Engine:
    """Start an engine that holds `lots` of the first symbol and has settled."""
    engine = Engine(tmp_path, symbols=symbols, **limits)
    engine.start()
    engine.want(symbols[0], lots=lots)
    await engine.settled()
    await asyncio.sleep(20)
    return engine


async def seconds_until(engine: Engine, done: Callable[[], bool], *, within_s: float = 60) -> float:
    """Wait on virtual time until `done`; gives `within_s` where it never was."""
    began = engine.clock.now_ms()
    while engine.clock.now_ms() - began < within_s * 1000:
        if done():
            break
        await asyncio.sleep(0.05)
    return (engine.clock.now_ms() - began) / 1000


def reported(engine: Engine) -> Mapping[str, SymbolReport]:
    """What the last pass said of each symbol."""
    report = engine.lane.report
    assert report is not None
    return report.symbols


def codes_of(engine: Engine, symbol: str = S) -> list[str]:
    """The reasons that the last pass gave for a symbol."""
    return [reason.code for reason in reported(engine)[symbol].reasons]


def knows_leverage(engine: Engine, leverage: int = 3) -> None:
    """Spare a test that refuses writes the setting of the leverage."""
    engine.venue.leverage[S] = Decimal(leverage)
    engine.desk.set_leverage_known(S, Decimal(leverage))


async def disabled(engine: Engine) -> None:
    """Restart the engine with the account disabled."""
    await engine.crash()
    engine.account = engine.account.model_copy(update={"enabled": False})
    engine.venue.requests.clear()
    engine.venue.placed.clear()
    engine.start()


def standing(engine: Engine) -> tuple[str, str]:
    (place,) = engine.roster.places
    return place.standing


def is_closed_down(engine: Engine) -> bool:
    return standing(engine) == ("disabled", CLOSED_DOWN)
