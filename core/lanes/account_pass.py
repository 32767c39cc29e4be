"""One pass of one account: snapshot → targets → plan → orders → verify → confirm (semantics §4).

Within a pass settings, targets and equity never change. It never waits for an unknown outcome: what
has no answer stays an open intent, and a later pass settles it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from core.attempts import for_version
from core.cycle import CycleInputs, PassReport, policy_for, weighing_for
from core.decision import Decision, Policy, Reason, View
from core.errors import TradeEngineError, TransientError
from core.gate import Terms
from core.lanes.account_desk import AccountDesk
from core.lanes.holds import Holds
from core.lanes.instead import Instead, left_behind
from core.lanes.pass_state import PassState, report_of
from core.lanes.resolver import Resolver
from core.lanes.scope import (
    not_closed_now,
    note_closed_down,
    note_flattened,
    see_flattens,
    sides_to_flatten,
    symbols_of,
    symbols_of_ours,
)
from core.lanes.sender import Sender
from core.lanes.sizing_desk import Sizer
from core.lanes.snapshot import Reading, Snapshot, hides_positions, read_positions
from core.lanes.viewing import view_of
from core.ledger import Said, Trust
from core.model import ZERO, Mode, Order, PositionsRead, Target
from core.reconcile import decide
from core.reopening import in_step
from core.sizing import minimum_lots
from core.targets import compute_targets, level_sign

MAX_ROUNDS = 4  # close, open of a flip, and one to spare; the rest waits for the next pass
LOOK_UP_MS = 500  # a look-up that takes longer goes on beside the pass and wakes the lane
OLD_READ_MS = 3_000  # older positions are read again before an increase

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
        wait_unless_newer: Waiter,
        instead: Instead | None = None,
    ) -> None:
        limits = inputs.settings.engine.engine
        self._desk = desk
        self._inputs = inputs
        self._newer_waits = newer_waits
        self._wait, self._wait_unless_newer = wait_unless_reduced, wait_unless_newer
        self._policy: Policy = policy_for(inputs.settings)
        if desk.closing is not None:  # without a target everything is an orphan
            self._policy = replace(self._policy, closes_orphans=True)
        self._weighing = weighing_for(inputs.settings, desk.account)
        self._instead = instead
        self._state = PassState(began_at_ms=desk.now_ms(), targets=self._wanted_now())
        self._resolver = Resolver(
            desk,
            restores=limits.external_change_policy == "restore",
            retry_first_s=limits.retry_first_s,
            retry_max_s=limits.retry_max_s,
        )
        self._holds = Holds(desk, limits.adopt_policy)

    @property
    def targets(self) -> Mapping[str, Target]:
        """What this pass makes the account hold."""
        return self._state.targets

    def _wanted_now(self) -> dict[str, Target]:
        desk = self._desk
        if desk.closing is not None:
            return {}  # a disabled account is only closed down
        if self._instead is not None:
            return {self._instead.symbol: self._instead.target}
        targets = compute_targets(self._inputs.contributions, self._weighing, now_ms=desk.wall_ms())
        return {**targets, **left_behind(desk, targets)}

    async def run(self, *, looks_up_first: bool) -> PassReport:
        """Work once through the account. Raises CredentialsError."""
        state = self._state
        look_ups = self._resolver.look_ups()
        if look_ups and (looks_up_first or self._desk.closing is not None):
            await self._wait(set(look_ups), LOOK_UP_MS)
        see_flattens(self._desk, state.targets)
        priced = {*state.targets, *(self._desk.closing or ())}
        reading = await Reading.begun(self._desk, priced)
        state.snapshot = self._watched(await reading.first())
        state.read = state.snapshot.positions
        one = self._instead
        state.symbols = symbols_of(self._desk, state) if one is None else [one.symbol]
        await self._believe()
        self._freeze()
        try:
            if not reading.is_complete:
                await self._reduce_now()
                state.snapshot = self._watched(await reading.whole())
                self._freeze()
            decisions = await self._rounds()
        finally:
            state.is_over = True
        self._confirm(decisions)
        note_flattened(self._desk, state)
        note_closed_down(self._desk, state)
        return report_of(self._desk, self._inputs.generation, state, decisions)

    def _watched(self, snapshot: Snapshot) -> Snapshot:
        """Let the watch look at equity; what it does not believe is unknown."""
        equity = snapshot.equity
        safety = self._inputs.settings.engine.safety
        if equity is None or self._desk.watch.look(equity, snapshot.positions, safety):
            return snapshot
        return replace(snapshot, equity=None)

    async def check_fills(self) -> bool:
        """Read positions alone, some time after our last fills; False = a full pass is due."""
        read = await self._read_unless_newer()
        if not isinstance(read, PositionsRead):
            return False
        state = self._state
        state.read = read
        state.symbols = symbols_of_ours(self._desk)
        before = {s: self._desk.ledger(s).expected_lots for s in state.symbols}
        await self._believe()
        note_closed_down(self._desk, state)
        return all(
            state.trust[s] is Trust.COUNTS and self._desk.ledger(s).expected_lots == before[s]
            for s in state.symbols
        )

    async def _rounds(self) -> dict[str, Decision]:
        decisions = self._decided()
        for _ in range(MAX_ROUNDS):
            decisions = self._kept(decisions)
            if self._opens(decisions) and self._is_read_old():
                if not await self._read_again():
                    break
                decisions = self._kept(self._decided())
            if not await self._act(decisions) or not await self._verify(decisions):
                break
            decisions = self._decided()
        return decisions

    async def _reduce_now(self) -> None:
        """Reduce what is certainly too much while slow reads of other things are under way."""
        decisions = {
            s: replace(d, actions=d.orders)
            for s, d in self._decided().items()
            if d.orders and all(o.reduce_only for o in d.orders) and not d.reopens
        }
        if decisions and await self._act(decisions):
            await self._verify(decisions)
        self._state.is_over = False

    def _decided(self) -> dict[str, Decision]:
        views = {symbol: self._view(symbol) for symbol in self._state.symbols}
        decisions = {symbol: self._decide(view) for symbol, view in views.items()}
        mode, wanted = self._desk.mode, self._desk.account.margin_mode
        if mode is None or wanted == "keep" or mode.margin_mode in (None, wanted):
            return decisions
        return in_step(
            decisions, self._state.read, lambda s: decide(replace(views[s], allows_reopen=False))
        )

    def _decide(self, view: View) -> Decision:
        reason = None if self._desk.closing is None else not_closed_now(view)
        if reason is None:
            return decide(view)
        return Decision(symbol=view.symbol, reasons=(reason,), wanted_lots=ZERO)

    def _opens(self, decisions: Mapping[str, Decision]) -> bool:
        return any(not o.reduce_only for d in decisions.values() for o in d.orders)

    def _is_read_old(self) -> bool:
        return self._state.age_ms(self._desk.now_ms()) > OLD_READ_MS

    async def _believe(self) -> None:
        """Judge the newest read for every symbol: none may be acted on by an older judgement."""
        state, read = self._state, self._state.read
        if read is None:
            state.trust = dict.fromkeys(state.symbols, Trust.UNREADABLE)
            return
        for symbol, row in read.positions.items():
            self._desk.note_modes(symbol, row.margin_mode, row.leverage)
        trusts = await asyncio.gather(*(self._believe_one(s, read) for s in state.symbols))
        state.trust = dict(zip(state.symbols, trusts, strict=True))

    async def _believe_one(self, symbol: str, read: PositionsRead) -> Trust:
        lots = read.size_lots(symbol)
        target = self._state.targets.get(symbol)
        said = Said(
            instructed_at_ms=None if target is None else target.instructed_at_ms,
            instruction_id="" if target is None else target.instruction_id,
            level_sign=level_sign(self._inputs.contributions, self._weighing, symbol),
        )
        sides = sides_to_flatten(self._desk, symbol, read)
        if sides is not None:
            await self._holds.take_both_sides(symbol, sides, read.began_at_ms)
        trust = await self._resolver.believe(symbol, lots, read.began_at_ms, said)
        if trust is Trust.COUNTS and lots is not None and self._desk.closing is None:
            await self._holds.review(symbol, lots, target, said)
        return trust

    def _freeze(self) -> None:
        desk, state, one = self._desk, self._state, self._instead
        if one is not None:
            state.frozen[one.symbol] = one.frozen(state.snapshot)
            desk.attempts[one.symbol] = for_version(desk.attempts_of(one.symbol), one.version)
            return
        limits = self._inputs.settings.engine.engine
        equity = state.snapshot.equity
        sizer = Sizer(
            equity_usdt=None if equity is None else equity.equity_usdt,
            prices={s: t.mark_price for s, t in state.snapshot.tickers.items()},
            instruments=state.snapshot.instruments,
            drift=limits.rebalance_drift,
            resizes_on_drift=limits.rebalance == "drift",
        )
        for symbol, target in state.targets.items():
            ledger = desk.ledger(symbol)
            desk.attempts[symbol] = for_version(desk.attempts_of(symbol), target.version)
            state.frozen[symbol] = sizer.freeze(
                target,
                desk.frozen.get(desk.name, symbol),
                ledger.expected_lots,
                is_ours=ledger.is_ours,
            )

    def _view(self, symbol: str) -> View:
        return view_of(self._desk, self._state, symbol, self._policy)

    def _kept(self, decisions: dict[str, Decision]) -> dict[str, Decision]:
        """Store what must be durable before any order; where the disk refuses, nothing opens."""
        return decisions if self._keep_entries(decisions) else self._decided()

    def _keep_entries(self, decisions: Mapping[str, Decision]) -> bool:
        """Store frozen lots, starts and expiries durably; False = the disk refused."""
        desk, state = self._desk, self._state
        for symbol, decision in decisions.items():
            frozen = state.frozen.get(symbol)
            if frozen is None:
                continue
            is_flattened = desk.gate.brakes(desk.name, symbol).mode is Mode.FLATTEN
            state.frozen[symbol] = replace(
                frozen,
                # after a flatten the age of the signal decides anew whether it may open
                started=(frozen.started or decision.starts) and not is_flattened,
                confirmed=frozen.confirmed and not is_flattened,
                expired=frozen.expired or decision.expires,
            )
        if self._is_dry_run():
            return True
        ready = {
            s: replace(f, fresh_lots=None) for s, f in state.frozen.items() if f.lots is not None
        }
        try:
            reopens = any(d.reopens for d in decisions.values())
            only = None if self._instead is not None else state.targets
            desk.frozen.put(desk.name, ready, only=only, proves_disk=reopens)
        except OSError as error:
            self._tell_disk(error)
            state.snapshot = replace(state.snapshot, equity=None)  # no increase; reductions go
            return False
        if not desk.journal.disk_error:
            desk.events.clear(f"disk/{desk.name}")
        return True

    def _tell_disk(self, error: OSError) -> None:
        text = f"state/targets.json could not be written: {error}"
        name = self._desk.name
        self._desk.events.alert(f"disk/{name}", text, severity="error", account=name)

    def _is_dry_run(self) -> bool:
        return self._desk.gate.brakes(self._desk.name, "").is_dry_run

    async def _act(self, decisions: Mapping[str, Decision]) -> bool:
        """Send what was decided; False = nothing to verify now, the pass ends."""
        state = self._state
        due = {s: d for s, d in decisions.items() if d.orders}
        if not due:
            return False
        if self._is_dry_run():
            state.refused = {s: self._would_go(s, d) for s, d in due.items()}
            return False
        limits = self._inputs.settings.engine.engine
        sender = Sender(self._desk, limits, state.snapshot, self._terms, self._wait)
        went_out = await sender.send(due, {s: t.version for s, t in state.targets.items()})
        state.refused = {**state.refused, **sender.refused}
        state.is_over = sender.was_cut
        return went_out and not sender.was_cut

    def _would_go(self, symbol: str, decision: Decision) -> Reason:
        orders = ", ".join(
            f"{o.size_lots:+f}{' reduce-only' if o.reduce_only else ''}" for o in decision.orders
        )
        return Reason(
            code="dry_run",
            text=f"would send {symbol} {orders} lots; `trade-engine arm {self._desk.name}` lets "
            "orders go",
        )

    def _terms(self, order: Order) -> Terms:
        snapshot = self._state.snapshot
        instrument = snapshot.instruments[order.symbol]
        ticker, equity = snapshot.tickers.get(order.symbol), snapshot.equity
        price = None if ticker is None else ticker.mark_price
        return Terms(
            positions_age_ms=self._state.age_ms(self._desk.now_ms()),
            newer_waits=self._newer_waits(),
            pass_is_over=self._state.is_over,
            equity_usdt=None if equity is None else equity.equity_usdt,
            price=price,
            contract_size=instrument.contract_size,
            max_order_share=self._policy.max_order_share,
            smallest_lots=ZERO if price is None else minimum_lots(instrument, price),
        )

    async def _verify(self, decisions: Mapping[str, Decision]) -> bool:
        """Read positions again, begun after every answer; False = the pass ends here."""
        if not await self._read_again():
            return False
        doubtful = [s for s, d in decisions.items() if d.orders and self._desk.ledger(s).open]
        look_ups = self._resolver.look_ups(doubtful)
        if look_ups:
            if await self._wait(set(look_ups), LOOK_UP_MS):
                return False
            return await self._read_again()
        return True

    async def _read_again(self) -> bool:
        """Read positions again; False = they could not be read, or a newer pass reads them."""
        read = await self._read_unless_newer()
        if read is None:
            return False
        self._state.read = None if isinstance(read, TradeEngineError) else read
        await self._believe()
        return self._state.read is not None

    async def _read_unless_newer(self) -> PositionsRead | TradeEngineError | None:
        """Read positions; None = a newer generation waits, whose own first read shows as much."""
        if self._newer_waits():
            return None
        reading = self._desk.read(read_positions(self._desk))
        await self._wait_unless_newer({reading}, None)
        if not reading.done():
            return None
        read = reading.result()
        if isinstance(read, PositionsRead) and hides_positions(self._desk, read):
            # a full pass asks for the margin in use, too (A27)
            return TransientError("the venue lists no positions although ours are held")
        return read

    def _confirm(self, decisions: Mapping[str, Decision]) -> None:
        """Note which versions were seen to be held."""
        state = self._state
        if self._is_dry_run():
            return
        done = {
            s: replace(state.frozen[s], confirmed=True, fresh_lots=None)
            for s, d in decisions.items()
            if d.verified and s in state.frozen and not state.frozen[s].confirmed
        }
        state.confirmed = {s: f.version for s, f in done.items()}
        if not done:
            return
        try:
            self._desk.frozen.put(self._desk.name, done)
        except OSError as error:
            self._tell_disk(error)
