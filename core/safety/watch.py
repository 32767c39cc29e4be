"""One account under watch: what its equity and its orders say about going on.

Looks at each believed read once, keeps the baselines, stops the account by a trip. Sends nothing,
and stops no reduction: what it says are obstacles to increases, trips, and alerts.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Protocol, get_args

from core.clock import next_utc_day_ms, utc_day
from core.decision import Reason
from core.events import Events
from core.ledger import SETTLE_MS
from core.model import ZERO, Equity, Mode, PositionsRead
from core.safety.equity_guard import EquitySeen, look
from core.safety.losses import (
    Baseline,
    Loss,
    LossKind,
    Moment,
    StopKind,
    is_traded,
    losses,
    moved_between,
    rebased,
    rolled,
    shifted,
    tripped,
)
from core.safety.order_budget import OrderLimits, OrderTimes, refusal, today
from core.settings import AccountConfig, SafetyLimits
from core.trips import Trip, Trips

PEAK_STEP = Decimal("0.001")  # of the stored peak: smaller growth is not worth a write
STOPS: tuple[StopKind, ...] = get_args(StopKind)
MARKS: Mapping[LossKind, str] = {"daily_loss": "since 00:00 UTC", "drawdown": "from its peak"}


class BaselineStore(Protocol):
    """Where baselines are kept."""

    def get(self, key: str) -> Baseline | None:
        """The baseline of an account; None = never seen."""
        ...

    def put(self, key: str, baseline: Baseline) -> None:
        """Keep a baseline, durably. Raises OSError."""
        ...


class Watch:
    """What one account's lane asks before it opens anything."""

    def __init__(  # noqa: PLR0913 - built in one place, which wires everything
        self,
        account: AccountConfig,
        *,
        baselines: BaselineStore,
        trips: Trips,
        events: Events,
        orders: OrderTimes,
        now_ms: Callable[[], int],
        wall_ms: Callable[[], int],
    ) -> None:
        self.name = account.name
        self.orders = orders
        self.losses: tuple[Loss, ...] = ()
        self.equity_seen = EquitySeen()
        self.limits = SafetyLimits()
        self._key = f"{account.name} {account.fingerprint}"
        self._baselines = baselines
        self._baseline = self._stored = baselines.get(self._key)
        self._trips = trips
        self._events = events
        self._now_ms = now_ms  # the clock that orders are stamped by
        self._wall_ms = wall_ms
        self._before: Moment | None = None
        self._over_once: set[LossKind] = set()
        self._obstacles: tuple[Reason, ...] = ()
        self._read: Equity | None = None
        self._counts_transfers = account.equity_scope == "usdt"  # collateral has prices of its own
        self._moved_from: Moment | None = None  # the look before a transfer that was seen once
        self._traded_at_ms = 0
        if self._baseline is not None:  # what a first read is held against
            self.equity_seen = EquitySeen(believed_usdt=self._baseline.day_start_usdt)

    @property
    def obstacles(self) -> tuple[Reason, ...]:
        """What stands against increases since the last look."""
        return self._obstacles

    @property
    def baseline(self) -> Baseline | None:
        """From where losses are measured; None before the first look."""
        return self._baseline

    @property
    def stopped(self) -> list[str]:
        """Name the trips of this account that stand."""
        return [trip.code for trip in self._trips.standing() if trip.account == self.name]

    def look(self, equity: Equity, read: PositionsRead | None, limits: SafetyLimits) -> bool:
        """Judge a read of equity, once; False = it is not believed, take it for unknown."""
        self.limits = limits
        if equity is self._read:
            return not self._is_doubted()
        self._read = equity
        self._obstacles = ()
        if equity.equity_usdt is None or read is None:
            return True
        self._guard(equity.equity_usdt, limits.equity_jump_limit)
        if self._is_doubted():
            return False
        self._measure(_moment(equity, equity.equity_usdt, read, self.orders.count), limits)
        return True

    def order_refusal(self, pending: int = 0) -> Reason | None:
        """Say why no further increase may go; `pending` are let go already, but not counted."""
        return refusal(self.orders, self._now_ms(), self._order_limits(), pending=pending)

    @property
    def orders_today(self) -> int:
        """How many orders count against the day's limit."""
        return today(self.orders, self._now_ms(), self._order_limits().from_ms)

    def _order_limits(self) -> OrderLimits:
        baseline = self._baseline
        return OrderLimits(
            per_minute=self.limits.max_orders_per_minute,
            per_day=self.limits.max_orders_per_day,
            from_ms=0 if baseline is None else baseline.orders_from_ms,
        )

    def _is_doubted(self) -> bool:
        return self.equity_seen.suspect_usdt is not None

    def _guard(self, equity_usdt: Decimal, limit: Decimal) -> None:
        before = self.equity_seen.believed_usdt
        self.equity_seen = look(self.equity_seen, equity_usdt, limit)
        if not self._is_doubted():
            return
        text = (
            f"equity went from {before} to {equity_usdt} USDT between two reads: nothing is opened "
            "until a second read agrees"
        )
        self._obstacles = (Reason(code="equity_jump", text=text),)
        self._events.emit("equity_jump", text, severity="warning", account=self.name)

    def _measure(self, seen: Moment, limits: SafetyLimits) -> None:
        now = self._settled(seen)
        baseline = self._baseline
        if baseline is not None:
            baseline = self._without_what_was_moved(baseline, now)
            baseline = self._with_stops(baseline, now.equity_usdt)
        self._before = now
        baseline = rolled(baseline, now.equity_usdt, utc_day(self._wall_ms()))
        by_kind: dict[LossKind, Decimal] = {
            "daily_loss": limits.daily_loss_limit,
            "drawdown": limits.drawdown_limit,
        }
        self.losses = losses(baseline, now.equity_usdt, by_kind)
        for loss in self.losses:
            stop = self._judge(loss, now.equity_usdt, limits)
            baseline = baseline if stop is None else tripped(baseline, loss.kind, stop.mark)
        self._baseline = baseline
        stop = self._count_orders(limits)
        self._keep(baseline if stop is None else tripped(baseline, "orders_per_day", stop.mark))

    def _settled(self, seen: Moment) -> Moment:
        """Tell whether the wallet may be believed to show all that was traded."""
        before = self._before
        if before is not None and is_traded(before, seen):
            self._traded_at_ms = self._now_ms()
        since_ms = self._now_ms() - self._traded_at_ms
        return replace(seen, is_settled=before is not None and since_ms >= SETTLE_MS)

    def _without_what_was_moved(self, baseline: Baseline, now: Moment) -> Baseline:
        """Shift the marks by money that somebody moved, once two looks agree on it."""
        if not self._counts_transfers:
            return baseline
        start = self._before if self._moved_from is None else self._moved_from
        moved = moved_between(start, now)
        was_seen, self._moved_from = self._moved_from is not None, start if moved else None
        if not moved or not was_seen:
            if moved:
                text = f"{moved:+f} USDT seem to have been moved; it is looked at once more"
                self._obstacles = (*self._obstacles, Reason(code="funds_moved", text=text))
            return baseline
        self._moved_from = None
        text = f"{moved:+f} USDT were moved, not won or lost: losses are measured from there on"
        self._events.emit("funds_moved", text, account=self.name)
        return shifted(baseline, moved)

    def _with_stops(self, baseline: Baseline, equity_usdt: Decimal) -> Baseline:
        """Measure anew what was lifted; put a stop back whose record was lost."""
        for kind, mark in sorted(baseline.tripped.items()):
            if self._trips.has(self.name, kind):
                continue
            if self._trips.is_released(self.name, mark):
                baseline = rebased(baseline, kind, equity_usdt, self._now_ms())
                continue
            text = f"{self.name}: {kind} was reached, and nobody has resumed the account since"
            stop = self._trips.stop(self.name, kind, text, until_ms=mark.until_ms)
            baseline = tripped(baseline, kind, stop.mark)
        for kind in STOPS:
            found = self._trips.find(self.name, kind)
            if found is not None and kind not in baseline.tripped:
                baseline = tripped(baseline, kind, found.mark)
        return baseline

    def _count_orders(self, limits: SafetyLimits) -> Trip | None:
        """Stop an account that sent too many; None = it was not stopped just now."""
        count, most = self.orders_today, limits.max_orders_per_day
        if not most or count < most or self._trips.has(self.name, "orders_per_day"):
            return None
        text = (
            f"{self.name} sent {count} orders since 00:00 UTC, at most {most} "
            "(safety.max_orders_per_day): is something trading against itself? It only reduces "
            f"until midnight UTC, or until ./trade-engine resume --account {self.name}"
        )
        until_ms = next_utc_day_ms(self._wall_ms())
        return self._trips.stop(self.name, "orders_per_day", text, until_ms=until_ms)

    def _judge(self, loss: Loss, equity_usdt: Decimal, limits: SafetyLimits) -> Trip | None:
        """Warn, doubt, or stop the account for a loss; None = it was not stopped just now."""
        text = self._said(loss, equity_usdt)
        is_near = bool(loss.limit) and loss.share >= loss.limit * limits.loss_warning
        key = f"loss_near/{loss.kind}/{self.name}"
        is_stopped = self._trips.has(self.name, loss.kind)
        if is_near and not is_stopped:
            self._events.alert(key, text, account=self.name)
        else:
            self._events.clear(key)
        if not loss.is_over or is_stopped:
            self._over_once.discard(loss.kind)
            return None
        if loss.kind not in self._over_once:
            self._over_once.add(loss.kind)
            once_more = Reason(code=loss.kind, text=f"{text}; it is read once more")
            self._obstacles = (*self._obstacles, once_more)
            return None
        self._over_once.discard(loss.kind)
        self._events.clear(key)
        return self._stop(loss, text, limits)

    def _stop(self, loss: Loss, text: str, limits: SafetyLimits) -> Trip:
        is_daily = loss.kind == "daily_loss"
        action = limits.daily_loss_action if is_daily else limits.drawdown_action
        until_ms = None
        if is_daily and limits.daily_loss_release == "next_day":
            until_ms = next_utc_day_ms(self._wall_ms())
        what = "everything is closed" if action == "flatten" else "nothing is opened"
        until = "midnight UTC, or " if until_ms is not None else ""
        return self._trips.stop(
            self.name,
            loss.kind,
            f"{text}; {what} until {until}./trade-engine resume --account {self.name}, which "
            "measures from then on",
            mode=Mode.FLATTEN if action == "flatten" else Mode.PAUSE,
            until_ms=until_ms,
        )

    def _said(self, loss: Loss, equity_usdt: Decimal) -> str:
        return (
            f"{self.name} lost {percent(loss.share)} {MARKS[loss.kind]} ({loss.baseline_usdt} -> "
            f"{equity_usdt} USDT), the limit is {percent(loss.limit)}"
        )

    def _keep(self, baseline: Baseline) -> None:
        """Hold the baseline, and store it where a restart would otherwise measure wrongly."""
        stored, self._baseline = self._stored, baseline
        if stored is not None and not _is_worth_a_write(stored, baseline):
            return
        key = f"disk/baselines/{self.name}"
        try:
            self._baselines.put(self._key, baseline)
        except OSError as error:
            text = f"state/baselines.json could not be written: {error}"
            self._events.alert(key, text, severity="error", account=self.name)
        else:
            self._stored = baseline
            self._events.clear(key)


def percent(share: Decimal) -> str:
    """Write a share as people read it."""
    return f"{share * 100:.2f} %"


def _moment(equity: Equity, equity_usdt: Decimal, read: PositionsRead, orders: int) -> Moment:
    held = {s: row.size_lots for s, row in read.positions.items() if row.size_lots}
    return Moment(
        equity_usdt=equity_usdt,
        unrealized_pnl_usdt=equity.unrealized_pnl_usdt,
        holdings={**held, **dict.fromkeys(read.unreadable, ZERO)},
        orders=orders,
    )


def _is_worth_a_write(stored: Baseline, now: Baseline) -> bool:
    grown = now.peak_usdt - stored.peak_usdt
    is_peak_moved = grown < 0 or grown > stored.peak_usdt * PEAK_STEP
    marks = (now.day, now.day_start_usdt, now.orders_from_ms, now.tripped)
    were = (stored.day, stored.day_start_usdt, stored.orders_from_ms, stored.tripped)
    return is_peak_moved or marks != were
