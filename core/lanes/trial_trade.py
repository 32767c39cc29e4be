"""A test trade: the smallest position opened, seen, closed and seen flat, by the lane's own passes.

It goes the way of every order: intent, gate, limits, verification. Opened is only from flat, where
no source wants anything; what was opened is closed whatever happens, and told when it is not.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any, Final

from core.control import Errand
from core.control.errands import Errands
from core.cycle import CycleInputs, PassReport, SymbolReport, weighing_for
from core.errors import CredentialsError, TradeEngineError
from core.lanes.account_desk import AccountDesk
from core.lanes.account_pass import AccountPass, Waiter
from core.lanes.instead import MARK, Instead
from core.lanes.scope import blockers_of, mode_of
from core.lanes.snapshot import read_positions
from core.model import ZERO, Mode, OrderState, PositionsRead
from core.targets import compute_targets

OPEN_WITHIN_MS: Final = 30_000
CLOSE_WITHIN_MS: Final = 120_000
BETWEEN_S: Final = 1.0
BPS: Final = Decimal(10_000)

MakePass = Callable[[Instead], AccountPass]


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """One half of a test trade; None = the venue did not say."""

    what: str  # open, close
    lots: Decimal  # signed
    average_price: Decimal | None
    mark_price: Decimal | None
    slippage_bps: Decimal | None  # > 0 = worse than the mark
    fee_usdt: Decimal | None  # > 0 = paid
    took_ms: int  # from the decision until it was seen to be held


class TrialTrade:
    """One test trade on one account, while its lane does nothing else.

    It gives way at once to a brake and to a newer target that reduces: what is open then is closed
    by the lane's next passes (`left_behind`). Once the command has ended it only closes.
    """

    def __init__(
        self,
        desk: AccountDesk,
        inputs: CycleInputs,
        errand: Errand,
        *,
        make_pass: MakePass,
        gives_way: Callable[[], str],
        is_wanted: Callable[[], bool],
    ) -> None:
        self._desk = desk
        self._inputs = inputs
        self._errand = errand
        self._make_pass = make_pass
        self._gives_way = gives_way  # says why it must end now; empty = it may go on
        self._is_wanted = is_wanted  # False once the command that asked for it has ended
        self._legs: list[Leg] = []

    async def run(self) -> dict[str, Any]:
        """Open, verify, close, verify flat; says what came of it. Raises CredentialsError."""
        refusal = await self._refusal()
        if refusal:
            return self.result("refused", refusal)
        sign = 1 if self._errand.side == "long" else -1
        trouble = await self._leg("open", sign, OPEN_WITHIN_MS)
        if trouble and not self._is_something_left():
            return self.result("failed", trouble)
        closing = await self._leg("close", 0, CLOSE_WITHIN_MS)
        if closing and self._is_something_left():
            text = f"{closing}; the engine's next passes close it: look at ./trade-engine positions"
            self._alert(text)
            return self.result("left", f"not closed: {text}")
        trouble = trouble or closing
        return self.result("failed" if trouble else "done", trouble)

    def _is_something_left(self) -> bool:
        left = self._desk.ledger(self._errand.symbol)
        return bool(left.open or left.expected_lots)

    async def _refusal(self) -> str:
        """Say why no test may begin; empty = it may. Raises CredentialsError."""
        desk, symbol = self._desk, self._errand.symbol
        mode, reason = mode_of(desk, symbol)
        blockers = [blocker.text for blocker in blockers_of(desk)]
        ledger = desk.ledger(symbol)
        if mode is not Mode.RUN or blockers:
            return f"nothing may be opened: {reason or '; '.join(blockers)}"
        if desk.gate.brakes(desk.name, symbol).is_dry_run:
            return f"{desk.name} is live and not armed: ./trade-engine arm {desk.name}"
        if ledger.open or ledger.hold is not None:
            return "an order of ours on it has no known end, or it is held back: see status"
        if self._wants_something():
            return "the sources want a position of it: that is traded anyway; take another symbol"
        return _held(await self._read(), symbol) or await self._unfit()

    async def _unfit(self) -> str:
        """Say why the symbol or the size is none to trade; empty = it is."""
        desk, symbol, lots = self._desk, self._errand.symbol, self._errand.lots
        try:
            instruments = await desk.market.instruments()
            tickers = await desk.market.tickers([symbol])
        except TradeEngineError as error:
            return f"instruments or prices could not be read: {error}"
        instrument, ticker = instruments.get(symbol), tickers.get(symbol)
        if instrument is None or ticker is None:
            return f"{symbol} is not listed here, or has no price"
        equity = desk.watch.equity_seen.believed_usdt
        if lots is None:
            return ""
        if equity is None:
            return "the account's equity is not known yet: try again"
        worth = lots * ticker.mark_price * instrument.contract_size
        most = equity * self._inputs.settings.engine.engine.max_order_share
        if worth <= most:
            return ""
        return f"{lots:f} lots are worth {worth:.2f} USDT, at most {most:.2f} (max_order_share)"

    def _wants_something(self) -> bool:
        targets = compute_targets(
            self._inputs.contributions,
            weighing_for(self._inputs.settings, self._desk.account),
            now_ms=self._desk.wall_ms(),
        )
        target = targets.get(self._errand.symbol)
        return target is not None and bool(target.exposure)

    async def _read(self) -> PositionsRead | TradeEngineError:
        return await read_positions(self._desk)

    async def _leg(self, what: str, sign: int, within_ms: int) -> str:
        """Bring the symbol to a side or to flat; says what went wrong, nothing when it is there."""
        desk, symbol = self._desk, self._errand.symbol
        known = self._known_orders()
        before = desk.ledger(symbol).expected_lots or ZERO
        began_ms = desk.now_ms()
        instead = Instead(
            symbol=symbol,
            sign=sign,
            lots=self._errand.lots,
            leverage=self._leverage(),
            version=f"{MARK}{self._errand.id}-{what}",
            now_ms=desk.wall_ms(),
        )
        trouble = ""
        while desk.now_ms() - began_ms < within_ms:
            if why := self._gives_way():
                return f"ended early: {why}"
            if sign and not self._is_wanted():
                return "ended early: the command that asked for it has ended"
            report = await self._pass(instead)
            if isinstance(report, SymbolReport):
                trouble = "; ".join(r.text for r in report.reasons)
                if report.verified:
                    await self._note(what, known, before, began_ms)
                    return ""
            else:
                trouble = report
            await desk.clock.sleep(BETWEEN_S)
        return f"not done within {within_ms // 1000} s: {trouble or 'no reason is known'}"

    async def _pass(self, instead: Instead) -> SymbolReport | str:
        try:
            report: PassReport = await self._make_pass(instead).run(looks_up_first=True)
        except CredentialsError:
            raise
        except TradeEngineError as error:
            return str(error)
        return report.symbols[instead.symbol]

    def _known_orders(self) -> set[str]:
        return {order.client_id for order in self._desk.ledger(self._errand.symbol).closed}

    async def _note(self, what: str, known: set[str], before: Decimal, began_ms: int) -> None:
        """Learn what the leg's fills cost, as far as the venue tells."""
        desk, symbol = self._desk, self._errand.symbol
        took_ms = desk.now_ms() - began_ms
        lots = (desk.ledger(symbol).expected_lots or ZERO) - before
        mark = desk.market.last_price(symbol)
        ours = self._known_orders() - known
        try:
            rows = await desk.venue.fetch_recent_orders(symbol)
        except TradeEngineError:
            rows = ()
        filled = [row for row in rows if row.client_id in ours and row.filled_lots]
        price = _average(filled)
        slippage = None
        if price is not None and mark:
            slippage = (price - mark) / mark * BPS * (1 if lots > 0 else -1)
        fees = [row.fee_usdt for row in filled]
        known_fees = [fee for fee in fees if fee is not None]
        self._legs.append(
            Leg(
                what=what,
                lots=lots,
                average_price=price,
                mark_price=mark,
                slippage_bps=slippage,
                fee_usdt=sum(known_fees, ZERO) if fees and len(known_fees) == len(fees) else None,
                took_ms=took_ms,
            )
        )

    def _leverage(self) -> Decimal:
        account, row = self._desk.account, self._inputs.settings.symbol_weights(self._errand.symbol)
        return account.leverage_override or (row.leverage if row is not None else Decimal(1))

    def _alert(self, text: str) -> None:
        symbol = self._errand.symbol
        self._desk.events.emit(
            "test_trade_left",
            f"the test trade of {symbol} was not closed: {text}",
            severity="error",
            account=self._desk.name,
            symbol=symbol,
        )

    def result(self, outcome: str, text: str) -> dict[str, Any]:
        """Give an answer as plain values."""
        return {
            "outcome": outcome,  # done, refused, failed, left
            "text": text,
            "account": self._desk.name,
            "symbol": self._errand.symbol,
            "side": self._errand.side,
            "legs": [asdict(leg) for leg in self._legs],
        }


def _held(read: PositionsRead | TradeEngineError, symbol: str) -> str:
    """Say what is held, or that nobody knows; empty = flat."""
    if not isinstance(read, PositionsRead):
        return f"the positions could not be read: {read}"
    lots = read.size_lots(symbol)
    if lots is None:
        return "the position could not be read, or is held long and short at once"
    return f"a position of {lots:f} lots is held already" if lots else ""


def _average(orders: list[OrderState]) -> Decimal | None:
    lots = sum((abs(o.filled_lots) for o in orders), ZERO)
    priced = [(o.average_price, abs(o.filled_lots)) for o in orders]
    if not lots or any(price is None for price, _ in priced):
        return None
    return sum((price * size for price, size in priced if price is not None), ZERO) / lots


def lent_for(errand: Errand) -> str:
    """Say what an account is lent for."""
    return f"test trade of {errand.symbol} for {errand.who}, pid {errand.pid}"


async def run_errand(
    desk: AccountDesk,
    inputs: CycleInputs,
    errands: Errands,
    errand: Errand,
    *,
    wait: Waiter,
    reduces: Callable[[], bool],
) -> None:
    """Do what a command asks, and write down what came of it. Raises CredentialsError."""
    symbol = errand.symbol
    desk.events.emit("lent", lent_for(errand), account=desk.name, symbol=symbol)

    def gives_way() -> str:
        mode, reason = mode_of(desk, symbol)
        if mode is not Mode.RUN:
            return reason
        return "a newer target reduces something" if reduces() else ""

    trial = TrialTrade(
        desk,
        inputs,
        errand,
        make_pass=lambda instead: AccountPass(
            desk,
            inputs,
            newer_waits=lambda: False,
            wait_unless_reduced=wait,
            wait_unless_newer=wait,
            instead=instead,
        ),
        gives_way=gives_way,
        is_wanted=lambda: errands.is_wanted(errand),
    )
    result = trial.result("left", "it ended without an answer: look at ./trade-engine positions")
    try:
        errands.begin(errand)
        result = await trial.run()
    except CredentialsError as error:
        result = trial.result("failed", str(error))
        raise
    except OSError as error:
        result = trial.result("refused", f"state/errands could not be written: {error}")
    finally:
        _finish(desk, errands, errand, result)


def _finish(desk: AccountDesk, errands: Errands, errand: Errand, result: Mapping[str, Any]) -> None:
    text = f"{errand.symbol}: test trade {result['outcome']}"
    text = f"{text}: {result['text']}" if result["text"] else text
    desk.events.emit("test_trade", text, account=desk.name, symbol=errand.symbol)
    try:
        errands.finish(errand, _as_json(result))
    except OSError as error:
        text = f"state/errands could not be written: {error}"
        desk.events.alert(f"disk/{desk.name}", text, severity="error", account=desk.name)


def _as_json(result: Mapping[str, Any]) -> dict[str, Any]:
    legs = [{key: _text(value) for key, value in leg.items()} for leg in result["legs"]]
    return {**result, "legs": legs}


def _text(value: object) -> object:
    return format(value, "f") if isinstance(value, Decimal) else value
