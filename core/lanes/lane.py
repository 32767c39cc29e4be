"""One account's lane: a mailbox of one, a timetable, and one pass at a time.

Lanes share nothing that can block: a venue that hangs delays its own account alone (B7). What wakes
a lane is a newer generation, something that landed, a retry that is due, or the resync.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Protocol

from core.cycle import CycleInputs, PassReport, weighing_for
from core.decision import Reason
from core.errors import (
    ClockSkewError,
    CredentialsError,
    RateLimitedError,
    TradeEngineError,
)
from core.lanes.account_desk import AccountDesk
from core.lanes.account_pass import AccountPass
from core.lanes.open_orders import review_open_orders
from core.lanes.telling import (
    READS_FAILED_ALERT,
    tell_confirmed,
    tell_drift,
    tell_reads,
    tell_reasons,
)
from core.lanes.trial_trade import lent_for, run_errand
from core.ledger import SETTLE_MS
from core.model import AccountMode, Target
from core.targets import compute_targets, reduces_any

UNSETTLED_WAITS_MS = (1_000, 2_000)  # then 2 s each
FAILED_WAITS_MS = (1_000, 2_000, 5_000, 10_000, 30_000)
PASSING_MS = 5_000  # a price, an equity, an instrument that was missing may be there again
PASSING = {
    *("no_price", "no_quotes", "wide_spread", "mark_gap", "equity_unknown", "unsized"),
    *("no_instrument", "disk", "old_read", "pass_over", "unpriced", "order_cap"),
    *("rate_limited", "orders_per_minute"),
}
OPEN_ORDERS_EVERY_MS = 600_000  # ours do not rest
SKEW_EVERY_MS = 60_000
MODE_EVERY_MS = 3_600_000  # account modes and the venue's clock are read again
MAX_CREDENTIAL_FAILURES = 3


class Process(Protocol):
    """How one pass is made: `TradeExecutor.process_account`."""

    async def __call__(self, account_pass: AccountPass, *, looks_up_first: bool) -> PassReport:
        """Make one pass."""
        ...


class Lane:
    """Runs the passes of one account."""

    def __init__(
        self, desk: AccountDesk, *, process: Process, on_report: Callable[[PassReport], None]
    ) -> None:
        self.desk = desk
        self.state = "connecting"
        self.reason = ""
        self.report: PassReport | None = None
        self._on_report = on_report
        self._process = process
        self._resync_ms = 60_000  # until the first inputs say
        self._inputs: CycleInputs | None = None
        self._done_generation = -1
        self._awoken = asyncio.Event()
        self._newer = asyncio.Event()
        self._reducing = asyncio.Event()  # the newer inputs reduce something
        self._targets_at_work: Mapping[str, Target] | None = None
        self._passed = asyncio.Condition()
        self.ended = asyncio.Event()  # set by whoever keeps the lane, once it is over
        self._failures = 0
        self._unsettled = 0
        self._credential_failures = 0
        self._full_pass_at_ms = 0
        self._next_at_ms = 0
        self._checked_fills_at_ms = 0
        desk.wake = self._awoken.set

    def offer(self, inputs: CycleInputs) -> None:
        """Put the newest inputs into the mailbox; returns at once."""
        self._inputs = inputs
        if self._targets_at_work is not None and (
            self._is_flattening() or self._reduces(inputs, self._targets_at_work)
        ):
            self._reducing.set()
        self._resync_ms = int(inputs.settings.engine.engine.resync_interval_s * 1000)
        self._newer.set()
        self._awoken.set()

    def refresh(self, inputs: CycleInputs) -> None:
        """Take newer confirmations of the same generation without being woken."""
        self._inputs = inputs

    async def passed(self, generation: int) -> None:
        """Wait until a pass of this generation, or a newer one, has ended."""
        async with self._passed:
            await self._passed.wait_for(
                lambda: (
                    self._done_generation >= generation or self.state == "parked" or self.is_over
                )
            )

    @property
    def is_over(self) -> bool:
        """Tell whether this was a disabled account, and all of ours on it is closed down."""
        return self.desk.closing is not None and not self.desk.closing

    async def run(self) -> None:
        """Work until cancelled; a disabled account only until it is closed down."""
        while not self.is_over:
            await self._until_due()
            if self._inputs is None or self.state == "parked":
                continue
            if self._needs_connecting(self._inputs) and not await self._connect():
                continue
            if await self._run_errand(self._inputs):
                continue
            self._perhaps_review_open_orders(self._inputs)
            await self._work(self._inputs)
        async with self._passed:
            self._passed.notify_all()

    async def close(self) -> None:
        """Let what is on the wire land for a moment, then give the venue back."""
        if self.desk.in_flight:
            await asyncio.wait(self.desk.in_flight, timeout=5)
        for task in list(self.desk.in_flight):
            task.cancel()
        await asyncio.gather(*self.desk.in_flight, return_exceptions=True)
        await self.desk.venue.close()

    async def _until_due(self) -> None:
        if self.state == "parked":
            self._next_at_ms = self.desk.now_ms() + self._resync_ms
        if not self._awoken.is_set():
            left_s = (self._next_at_ms - self.desk.now_ms()) / 1000
            with suppress(TimeoutError):
                async with asyncio.timeout(max(left_s, 0)):
                    await self._awoken.wait()
        self._awoken.clear()

    async def _connect(self) -> bool:
        """Make the venue ready; once it was, a later failure leaves what was known in force."""
        desk = self.desk
        try:
            mode = await desk.venue.connect()
        except CredentialsError as error:
            await self._credentials_failed(error)
        except ClockSkewError as error:
            self._skewed(error)
            return True
        except TradeEngineError as error:
            if desk.mode is not None:
                desk.mode_read_at_ms = desk.now_ms()
                desk.events.emit("mode_failed", f"{error}", severity="warning", account=desk.name)
                return True
            self._failed("connecting", str(error), error)
        else:
            desk.note_account_mode(mode)
            desk.mode_read_at_ms = desk.now_ms()
            desk.blocker = None
            for symbol in list(desk.attempts):
                desk.note_modes(symbol, mode.margin_mode, None)
            self._failures = self._credential_failures = 0
            self.state, self.reason = "ready", ""
            desk.events.clear(f"reads/{desk.name}")
            desk.events.clear(f"clock_skew/{desk.name}")
            return True
        return False

    def _skewed(self, error: ClockSkewError) -> None:
        """Reduce, but open nothing until the clocks agree; look again in a minute (B18)."""
        desk = self.desk
        desk.mode = desk.mode or AccountMode(margin_mode=None, is_hedged=None)
        desk.mode_read_at_ms = desk.now_ms() - MODE_EVERY_MS + SKEW_EVERY_MS
        desk.blocker = Reason(code="clock_skew", text=str(error))
        self.state, self.reason = "ready", str(error)
        desk.events.alert(
            f"clock_skew/{desk.name}", f"{desk.name}: {error}", severity="error", account=desk.name
        )

    def _perhaps_review_open_orders(self, inputs: CycleInputs) -> None:
        """Look at what rests, at the start and now and then, beside the passes."""
        desk = self.desk
        is_first = not desk.open_orders_read_at_ms
        age_ms = desk.now_ms() - desk.open_orders_read_at_ms
        is_idle = inputs.generation <= self._done_generation
        if is_first or (is_idle and age_ms >= OPEN_ORDERS_EVERY_MS):
            desk.open_orders_read_at_ms = desk.now_ms()
            desk.spawn(review_open_orders(desk))

    def _needs_connecting(self, inputs: CycleInputs) -> bool:
        if self.desk.mode is None:
            return True
        is_idle = inputs.generation <= self._done_generation
        return is_idle and self.desk.now_ms() - self.desk.mode_read_at_ms >= MODE_EVERY_MS

    async def _work(self, inputs: CycleInputs) -> None:
        desk = self.desk
        desk.events.clear(f"lane/{desk.name}")
        is_news = inputs.generation > self._done_generation
        self._newer.clear()
        self._reducing.clear()
        account_pass = AccountPass(
            desk,
            inputs,
            newer_waits=self._newer.is_set,
            wait_unless_reduced=partial(self._wait_unless, self._reducing),
            wait_unless_newer=partial(self._wait_unless, self._newer),
        )
        self._targets_at_work = account_pass.targets
        try:
            if not is_news and self._only_fills_are_due():
                self._checked_fills_at_ms = desk.now_ms()
                if await account_pass.check_fills() or self._newer.is_set():
                    self._plan_next(self.report)
                    return
            self._full_pass_at_ms = desk.now_ms()
            report = await self._process(account_pass, looks_up_first=not is_news)
        except CredentialsError as error:
            await self._credentials_failed(error)
            return
        finally:
            self._targets_at_work = None
        self._credential_failures = 0
        self.report = report
        self._tell(report)
        self._plan_next(report)
        self._on_report(report)
        if desk.refused_credentials is not None and desk.write_refusals >= MAX_CREDENTIAL_FAILURES:
            await self._park(desk.refused_credentials)
        async with self._passed:
            self._done_generation = max(self._done_generation, inputs.generation)
            self._passed.notify_all()

    async def _run_errand(self, inputs: CycleInputs) -> bool:
        """Do what a command asks of this account; False = nothing is asked."""
        errands = self.desk.errands
        errand = None if errands is None else errands.asked(self.desk.name)
        if errands is None or errand is None:
            return False
        self.state, self.reason = "lent", lent_for(errand)
        try:
            undisturbed = partial(self._wait_unless, asyncio.Event())
            await run_errand(
                self.desk,
                inputs,
                errands,
                errand,
                wait=undisturbed,
                reduces=partial(self._reduces_since, inputs),
            )
        except CredentialsError as error:
            await self._credentials_failed(error)
        if self.state == "lent":
            self.state, self.reason, self._next_at_ms = "ready", "", self.desk.now_ms()
        return True

    def _reduces_since(self, inputs: CycleInputs) -> bool:
        """Tell whether something newer than these inputs reduces or flattens anything."""
        if (newest := self._inputs) is None or newest is inputs:
            return False
        weighing = weighing_for(inputs.settings, self.desk.account)
        before = compute_targets(inputs.contributions, weighing, now_ms=self.desk.wall_ms())
        return self._reduces(newest, before)

    def _reduces(self, inputs: CycleInputs, at_work: Mapping[str, Target]) -> bool:
        newest = compute_targets(
            inputs.contributions,
            weighing_for(inputs.settings, self.desk.account),
            now_ms=self.desk.wall_ms(),
        )
        return reduces_any(at_work, newest)

    def _is_flattening(self) -> bool:
        """Tell whether somebody asked for a flatten that is not done yet."""
        desk = self.desk
        symbols = {*desk.journal.symbols(desk.name), *(self._targets_at_work or ())}
        brakes = [desk.gate.brakes(desk.name, s) for s in symbols]
        return any(set(b.flatten_ids) - desk.flattened for b in brakes)

    def _only_fills_are_due(self) -> bool:
        """True when this wake is for the read that follows our last fills, and nothing else."""
        due = self._fills_due_at_ms()
        report = self.report
        if due is None or report is None or self._unsettled or self._failures:
            return False
        now = self.desk.now_ms()
        return due <= now < self._full_pass_at_ms + self._resync_ms and not self._retries_due(now)

    def _retries_due(self, now_ms: int) -> bool:
        if self.report is None:
            return False
        return self.report.looks_again or any(
            (s.retry_at_ms is not None and s.retry_at_ms <= now_ms)
            or any(r.code in PASSING for r in s.reasons)
            for s in self.report.symbols.values()
        )

    def _fills_due_at_ms(self) -> int | None:
        """When to read positions once more: 10 s after the last fill that no read has followed."""
        journal, name = self.desk.journal, self.desk.name
        fills = [journal.ledger(name, s).last_fill_at_ms for s in journal.symbols(name)]
        due = max((at + SETTLE_MS for at in fills if at is not None), default=None)
        if due is None or max(self._full_pass_at_ms, self._checked_fills_at_ms) >= due:
            return None
        return due

    def _plan_next(self, report: PassReport | None) -> None:
        now = self.desk.now_ms()
        times = [self._full_pass_at_ms + self._resync_ms]
        fills_due = self._fills_due_at_ms()
        if fills_due is not None:
            times.append(fills_due)
        if report is not None:
            times.extend(self._retry_times(report, now))
        if not self._newer.is_set():
            self._awoken.clear()  # what landed during the pass was seen by it, or is unsettled
        self._next_at_ms = max(min(times), now)

    def _retry_times(self, report: PassReport, now_ms: int) -> list[int]:
        times = [s.retry_at_ms for s in report.symbols.values() if s.retry_at_ms is not None]
        passes = any(r.code in PASSING for s in report.symbols.values() for r in s.reasons)
        if passes or report.looks_again:
            times.append(now_ms + PASSING_MS)
        self._unsettled = self._unsettled + 1 if report.is_unsettled else 0
        is_blind = report.positions_failed or bool(report.unreadable)
        self._failures = self._failures + 1 if is_blind else 0
        if is_blind:
            wait_ms = FAILED_WAITS_MS[min(self._failures, len(FAILED_WAITS_MS)) - 1]
            times.append(now_ms + max(wait_ms, (report.retry_after_s or 0) * 1000))
        if report.is_unsettled:
            times.append(
                now_ms + UNSETTLED_WAITS_MS[min(self._unsettled, len(UNSETTLED_WAITS_MS)) - 1]
            )
        return times

    def _tell(self, report: PassReport) -> None:
        """Raise and clear alerts, and say once why a symbol is not where it should be."""
        tell_reads(self.desk, report, failures=self._failures)
        tell_reasons(self.desk, report, is_settling=not self._unsettled)
        tell_confirmed(self.desk, report)
        if self._inputs is not None:
            tell_drift(self.desk, report, self._inputs.settings.engine)

    async def _credentials_failed(self, error: CredentialsError) -> None:
        self._credential_failures += 1
        if self._credential_failures < MAX_CREDENTIAL_FAILURES:
            self._failed(self.state, str(error), error)
            return
        await self._park(error)

    async def _park(self, error: CredentialsError) -> None:
        self.state, self.reason = "parked", str(error)
        cure = "" if "restart trade-engine" in str(error) else "; then restart trade-engine"
        text = f"{self.desk.name} is parked: {error}{cure}"
        self.desk.events.alert(
            f"parked/{self.desk.name}", text, severity="error", account=self.desk.name
        )
        async with self._passed:
            self._passed.notify_all()

    def _failed(self, state: str, reason: str, error: TradeEngineError) -> None:
        self.state, self.reason = state, reason
        self._failures += 1
        wait_ms = FAILED_WAITS_MS[min(self._failures, len(FAILED_WAITS_MS)) - 1]
        if isinstance(error, RateLimitedError):
            wait_ms = max(wait_ms, error.retry_after_s * 1000)
        if self._failures >= READS_FAILED_ALERT:
            name = self.desk.name
            self.desk.events.alert(f"reads/{name}", f"{name}: {reason}", account=name)
        self._next_at_ms = self.desk.now_ms() + wait_ms

    async def _wait_unless(
        self, event: asyncio.Event, tasks: set[asyncio.Task[object]], limit_ms: int | None
    ) -> bool:
        """Wait for tasks, at most `limit_ms` and until `event`; tells whether that came."""
        pending = set(tasks)
        until_ms = None if limit_ms is None else self.desk.now_ms() + limit_ms
        coming = asyncio.ensure_future(event.wait())
        try:
            while pending and not coming.done():
                left_s = None if until_ms is None else (until_ms - self.desk.now_ms()) / 1000
                if left_s is not None and left_s <= 0:
                    break
                _, waiting = await asyncio.wait(
                    {*pending, coming}, timeout=left_s, return_when=asyncio.FIRST_COMPLETED
                )
                pending &= waiting
        finally:
            coming.cancel()
        return event.is_set()
