"""One pass of one account: snapshot → targets → plan → orders → verify → confirm (semantics §4).

Within a pass settings, targets and equity never change. It never waits for an unknown outcome: what
has no answer stays an open intent, and a later pass settles it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from core.account_desk import AccountDesk
from core.attempts import for_version
from core.cycle import CycleInputs, PassReport, SymbolReport, policy_for, weighing_for
from core.errors import RateLimitedError, TradeEngineError
from core.gate import Terms
from core.holds import Holds
from core.ledger import Trust
from core.model import ZERO, Mode, Order, PositionsRead, Target
from core.reconcile import Decision, Frozen, Policy, Reason, View, decide
from core.resolver import Resolver
from core.sender import Sender
from core.sizing import minimum_lots
from core.sizing_desk import Sizer
from core.snapshot import (
    Snapshot,
    expects_positions,
    lists_nothing,
    read_positions,
    take_snapshot,
)
from core.targets import compute_targets, level_sign

MAX_ROUNDS = 4  # close, open of a flip, and one to spare; the rest waits for the next pass

Waiter = Callable[[set[asyncio.Task[object]], int | None], Awaitable[bool]]


class AccountPass:
    """One pass; made anew for each."""

    def __init__(
        self,
        desk: AccountDesk,
        inputs: CycleInputs,
        *,
        newer_waits: Callable[[], bool],
        wait_unless_reduced: Waiter,
    ) -> None:
        limits = inputs.settings.engine.engine
        self._desk = desk
        self._inputs = inputs
        self._newer_waits = newer_waits
        self._wait = wait_unless_reduced
        self._policy: Policy = policy_for(inputs.settings)
        self._began_ms = desk.now_ms()
        self._weighing = weighing_for(inputs.settings, desk.account)
        self._targets: dict[str, Target] = compute_targets(
            inputs.contributions, self._weighing, now_ms=self._began_ms
        )
        self._resolver = Resolver(
            desk,
            restores=limits.external_change_policy == "restore",
            retry_first_s=limits.retry_first_s,
            retry_max_s=limits.retry_max_s,
        )
        self._holds = Holds(desk, limits.adopt_policy)
        self._is_over = False
        self._refused: Mapping[str, Reason] = {}
        self._read: PositionsRead | None = None
        self._trust: dict[str, Trust] = {}
        self._frozen: dict[str, Frozen] = {}
        self._confirmed: dict[str, str] = {}
        self._snapshot = Snapshot(equity=None, positions=None, tickers={}, instruments={})

    @property
    def targets(self) -> Mapping[str, Target]:
        """What this pass makes the account hold."""
        return self._targets

    async def run(self, *, looks_up_first: bool) -> PassReport:
        """Work once through the account. Raises CredentialsError."""
        look_ups = self._resolver.look_ups()
        if look_ups and looks_up_first:
            await self._wait(set(look_ups), None)
        self._snapshot = await take_snapshot(self._desk, self._targets)
        self._read = self._snapshot.positions
        symbols = self._symbols()
        await self._believe(symbols)
        self._freeze()
        try:
            decisions = await self._rounds(symbols)
        finally:
            self._is_over = True
        self._confirm(decisions)
        return self._report(decisions)

    async def _rounds(self, symbols: Sequence[str]) -> dict[str, Decision]:
        decisions: dict[str, Decision] = {}
        for _ in range(MAX_ROUNDS):
            decisions = {symbol: decide(self._view(symbol)) for symbol in symbols}
            if not self._keep_entries(decisions) or not await self._act(decisions):
                break
            await self._verify(decisions)
        return decisions

    async def check_fills(self) -> bool:
        """Read positions alone, some time after our last fills; False = a full pass is due."""
        read = await read_positions(self._desk)
        if not isinstance(read, PositionsRead):
            return False
        if lists_nothing(read) and expects_positions(self._desk):
            return False  # a full pass asks for the margin in use, too
        self._read = read
        symbols = [s for s in self._desk.journal.symbols(self._desk.name) if self._is_ours(s)]
        before = {s: self._desk.ledger(s).expected_lots for s in symbols}
        await self._believe(symbols)
        return all(
            self._trust[s] is Trust.COUNTS and self._desk.ledger(s).expected_lots == before[s]
            for s in symbols
        )

    def _symbols(self) -> list[str]:
        names = set(self._targets)
        names.update(s for s in self._desk.journal.symbols(self._desk.name) if self._is_ours(s))
        if self._read is not None:
            names.update(
                symbol
                for symbol in self._read.positions
                if self._desk.gate.brakes(self._desk.name, symbol).mode is Mode.FLATTEN
            )
        return sorted(names)

    def _is_ours(self, symbol: str) -> bool:
        ledger = self._desk.ledger(symbol)
        return ledger.is_ours and bool(ledger.open or ledger.expected_lots or ledger.hold)

    async def _believe(self, symbols: Sequence[str]) -> None:
        read = self._read
        if read is None:
            self._trust = dict.fromkeys(symbols, Trust.UNREADABLE)
            return
        for symbol, row in read.positions.items():
            if row.leverage is not None:
                self._desk.leverage[symbol] = row.leverage
        trusts = await asyncio.gather(*(self._believe_one(s, read) for s in symbols))
        self._trust = {**self._trust, **dict(zip(symbols, trusts, strict=True))}

    async def _believe_one(self, symbol: str, read: PositionsRead) -> Trust:
        lots = read.size_lots(symbol)
        target = self._targets.get(symbol)
        sign = level_sign(self._inputs.contributions, self._weighing, symbol)
        trust = await self._resolver.believe(symbol, lots, read.began_at_ms, sign)
        if trust is Trust.COUNTS and lots is not None:
            await self._holds.review(symbol, lots, target, sign)
        return trust

    def _freeze(self) -> None:
        limits = self._inputs.settings.engine.engine
        equity = self._snapshot.equity
        sizer = Sizer(
            equity_usdt=None if equity is None else equity.equity_usdt,
            prices={s: t.mark_price for s, t in self._snapshot.tickers.items()},
            instruments=self._snapshot.instruments,
            drift=limits.rebalance_drift,
            resizes_on_drift=limits.rebalance == "drift",
        )
        for symbol, target in self._targets.items():
            ledger = self._desk.ledger(symbol)
            self._desk.attempts[symbol] = for_version(
                self._desk.attempts_of(symbol), target.version
            )
            self._frozen[symbol] = sizer.freeze(
                target,
                self._desk.frozen.get(self._desk.name, symbol),
                ledger.expected_lots,
                is_ours=ledger.is_ours,
            )

    def _view(self, symbol: str) -> View:
        desk, snapshot = self._desk, self._snapshot
        brakes = desk.gate.brakes(desk.name, symbol)
        ticker = snapshot.tickers.get(symbol)
        read = self._read
        equity = snapshot.equity
        mode = desk.account.margin_mode
        known_mode = desk.mode.margin_mode if desk.mode is not None else None
        return View(
            symbol=symbol,
            now_ms=desk.now_ms(),
            mode=brakes.mode,
            mode_reason=brakes.reason,
            target=self._targets.get(symbol),
            frozen=self._frozen.get(symbol),
            ledger=desk.ledger(symbol),
            trust=self._trust.get(symbol, Trust.UNREADABLE),
            read_lots=None if read is None else read.size_lots(symbol),
            instrument=snapshot.instruments.get(symbol),
            ticker=ticker,
            last_price=desk.market.last_price(symbol),
            leverage_held=desk.leverage.get(symbol),
            sets_leverage=known_mode != "portfolio",
            equity_usdt=None if equity is None else equity.equity_usdt,
            free_margin_usdt=None if equity is None else equity.free_margin_usdt,
            attempts=desk.attempts_of(symbol),
            blockers=self._account_blockers(),
            policy=self._policy,
            margin_mode_wanted=None if mode == "keep" else mode,
            margin_mode_held=known_mode,
        )

    def _account_blockers(self) -> tuple[Reason, ...]:
        found = [] if self._desk.blocker is None else [self._desk.blocker]
        mode = self._desk.mode
        if mode is not None and mode.is_hedged:
            text = "the account is in hedge mode: switch it to one-way mode at the venue"
            found.append(Reason(code="hedge_mode", text=text))
        return tuple(found)

    def _keep_entries(self, decisions: Mapping[str, Decision]) -> bool:
        """Store frozen lots, starts and expiries durably before any order; False = disk refused."""
        for symbol, decision in decisions.items():
            frozen = self._frozen.get(symbol)
            if frozen is None:
                continue
            brakes = self._desk.gate.brakes(self._desk.name, symbol)
            is_flattened = brakes.mode is Mode.FLATTEN
            self._frozen[symbol] = replace(
                frozen,
                # after a flatten the age of the signal decides anew whether it may open
                started=(frozen.started or decision.starts) and not is_flattened,
                confirmed=frozen.confirmed and not is_flattened,
                expired=frozen.expired or decision.expires,
            )
        if self._is_dry_run():
            return True
        ready = {
            s: replace(f, fresh_lots=None) for s, f in self._frozen.items() if f.lots is not None
        }
        try:
            self._desk.frozen.put(self._desk.name, ready, only=self._targets)
        except OSError as error:
            text = f"state/targets.json could not be written: {error}"
            self._desk.events.alert("disk", text, severity="error", account=self._desk.name)
            self._snapshot = replace(self._snapshot, equity=None)  # no increase; reductions go
            return any(o.reduce_only for d in decisions.values() for o in d.orders)
        return True

    def _is_dry_run(self) -> bool:
        return self._desk.gate.brakes(self._desk.name, "").is_dry_run

    async def _act(self, decisions: Mapping[str, Decision]) -> bool:
        """Send what was decided; False = nothing to verify now, the pass ends."""
        due = {s: d for s, d in decisions.items() if d.orders}
        if not due:
            return False
        if self._is_dry_run():
            self._refused = {s: self._would_go(s, d) for s, d in due.items()}
            return False
        sender = Sender(self._desk, self._inputs.settings.engine.engine, self._terms, self._wait)
        versions = {s: t.version for s, t in self._targets.items()}
        equity = self._snapshot.equity
        instruments = self._snapshot.instruments
        lot_worth_usdt = {
            s: t.mark_price * instruments[s].contract_size
            for s, t in self._snapshot.tickers.items()
            if s in instruments
        }
        went_out = await sender.send(due, versions, equity, lot_worth_usdt)
        self._refused = sender.refused
        self._is_over = sender.was_cut
        return went_out and not sender.was_cut

    def _would_go(self, symbol: str, decision: Decision) -> Reason:
        orders = ", ".join(
            f"{o.size_lots:+}{' reduce-only' if o.reduce_only else ''}" for o in decision.orders
        )
        return Reason(
            code="dry_run",
            text=f"would send {symbol} {orders} lots; `trade-engine arm {self._desk.name}` lets "
            "orders go",
        )

    def _terms(self, order: Order) -> Terms:
        instrument = self._snapshot.instruments[order.symbol]
        ticker = self._snapshot.tickers.get(order.symbol)
        price = None if ticker is None else ticker.mark_price
        equity = self._snapshot.equity
        read_at = 0 if self._read is None else self._read.began_at_ms
        return Terms(
            positions_age_ms=self._desk.now_ms() - read_at,
            newer_waits=self._newer_waits(),
            pass_is_over=self._is_over,
            equity_usdt=None if equity is None else equity.equity_usdt,
            price=price,
            contract_size=instrument.contract_size,
            max_order_share=self._policy.max_order_share,
            smallest_lots=ZERO if price is None else minimum_lots(instrument, price),
        )

    async def _verify(self, decisions: Mapping[str, Decision]) -> None:
        """Read positions again, begun after every answer, and judge the symbols that traded."""
        touched = [s for s, d in decisions.items() if d.orders]
        if not await self._read_again(touched):
            return
        doubtful = [s for s in touched if self._desk.ledger(s).open]
        look_ups = self._resolver.look_ups(doubtful)
        if look_ups and not await self._wait(set(look_ups), None):
            await self._read_again(doubtful)

    async def _read_again(self, symbols: Sequence[str]) -> bool:
        read = await read_positions(self._desk)
        if isinstance(read, TradeEngineError):
            self._trust.update(dict.fromkeys(symbols, Trust.UNREADABLE))
            return False
        self._read = read
        await self._believe(symbols)
        return True

    def _confirm(self, decisions: Mapping[str, Decision]) -> None:
        """Note which versions were seen to be held."""
        if self._is_dry_run():
            return
        done: dict[str, Frozen] = {}
        for symbol, decision in decisions.items():
            frozen = self._frozen.get(symbol)
            if decision.verified and frozen is not None and not frozen.confirmed:
                done[symbol] = replace(frozen, confirmed=True, fresh_lots=None)
                self._confirmed[symbol] = frozen.version
        if not done:
            return
        try:
            self._desk.frozen.put(self._desk.name, done)
        except OSError as error:
            text = f"state/targets.json could not be written: {error}"
            self._desk.events.alert("disk", text, severity="error", account=self._desk.name)

    def _report(self, decisions: Mapping[str, Decision]) -> PassReport:
        equity = self._snapshot.equity
        retry = [
            e.retry_after_s
            for e in self._snapshot.errors.values()
            if isinstance(e, RateLimitedError)
        ]
        unsettled = {Trust.OPEN, Trust.EARLY, Trust.REREAD, Trust.UNREADABLE}
        return PassReport(
            account=self._desk.name,
            generation=self._inputs.generation,
            began_at_ms=self._began_ms,
            ended_at_ms=self._desk.now_ms(),
            equity_usdt=None if equity is None else equity.equity_usdt,
            symbols={s: self._symbol_report(s, d) for s, d in decisions.items()},
            targets=self._targets,
            confirmed=self._confirmed,
            read_failures=tuple(f"{part}: {e}" for part, e in self._snapshot.errors.items()),
            positions_failed=self._snapshot.positions is None,
            is_unsettled=any(
                self._desk.ledger(s).open or self._trust.get(s) in unsettled for s in decisions
            ),
            retry_after_s=max(retry, default=None),
        )

    def _symbol_report(self, symbol: str, decision: Decision) -> SymbolReport:
        ledger, attempts = self._desk.ledger(symbol), self._desk.attempts_of(symbol)
        target = self._targets.get(symbol)
        held: Decimal | None = None if self._read is None else self._read.size_lots(symbol)
        reasons = [*decision.reasons]
        if symbol in self._refused:
            reasons.append(self._refused[symbol])
        if target is not None:
            reasons.extend(_as_reason(text) for text in target.reasons)
        codes = {r.code for r in reasons}
        retry_at_ms = None
        if "backoff" in codes:
            retry_at_ms = attempts.increase_not_before_ms
        elif "reduction_waits" in codes:
            retry_at_ms = attempts.reduce_not_before_ms
        return SymbolReport(
            symbol=symbol,
            held_lots=held,
            target_lots=decision.wanted_lots,
            version="" if target is None else target.version,
            verified=decision.verified,
            hold="" if ledger.hold is None else str(ledger.hold.kind),
            reasons=tuple(reasons),
            retry_at_ms=retry_at_ms,
        )


def _as_reason(text: str) -> Reason:
    code, _, words = text.partition(": ")
    return Reason(code=code, text=words)
