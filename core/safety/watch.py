"""One account under watch: what its equity and its orders say about going on.

Looks at each believed read once, keeps the baselines, stops the account by a trip. Sends nothing,
and stops no reduction: what it says are obstacles to increases, trips, and alerts.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Protocol

from core.clock import next_utc_day_ms, utc_day
from core.decision import Reason
from core.events import Events
from core.model import ZERO, Equity, Mode, PositionsRead
from core.safety.equity_guard import EquitySeen, look
from core.safety.losses import (
    Baseline,
    Loss,
    LossKind,
    Moment,
    losses,
    moved_between,
    rebased,
    rolled,
    shifted,
    tripped,
)
from core.safety.order_budget import OrderTimes, refusal, today
from core.settings import AccountConfig, SafetyLimits
from core.trips import Trips

PEAK_STEP = Decimal("0.001")  # of the stored peak: smaller growth is not worth a write
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
        self._count_orders(limits)
        if equity.equity_usdt is None or read is None:
            return True
        self._guard(equity.equity_usdt, limits.equity_jump_limit)
        if self._is_doubted():
            return False
        self._measure(_moment(equity, equity.equity_usdt, read, self.orders.count), limits)
        return True

    def order_refusal(self, pending: int = 0) -> Reason | None:
        """Say why no further increase may go; `pending` are let go already, but not counted."""
        limits = self.limits
        return refusal(
            self.orders,
            self._now_ms(),
            per_minute=limits.max_orders_per_minute,
            per_day=limits.max_orders_per_day,
            pending=pending,
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

    def _count_orders(self, limits: SafetyLimits) -> None:
        count = today(self.orders, self._now_ms())
        if limits.max_orders_per_day and count >= limits.max_orders_per_day:
            text = (
                f"{self.name} sent {count} orders since 00:00 UTC, at most "
                f"{limits.max_orders_per_day} (safety.max_orders_per_day): is something trading "
                f"against itself? It only reduces until midnight UTC, or until "
                f"./trade-engine resume --account {self.name}"
            )
            until_ms = next_utc_day_ms(self._wall_ms())
            self._trips.stop(self.name, "orders_per_day", text, until_ms=until_ms)

    def _measure(self, now: Moment, limits: SafetyLimits) -> None:
        moved = moved_between(self._before, now)
        self._before = now
        baseline = self._baseline
        if baseline is not None and moved:
            baseline = shifted(baseline, moved)
            text = f"{moved:+f} USDT were moved, not won or lost: losses are measured from there on"
            self._events.emit("funds_moved", text, account=self.name)
        for kind in () if baseline is None else sorted(baseline.tripped):
            if baseline is not None and not self._trips.has(self.name, kind):
                baseline = rebased(baseline, kind, now.equity_usdt)
        baseline = rolled(baseline, now.equity_usdt, utc_day(self._wall_ms()))
        by_kind: dict[LossKind, Decimal] = {
            "daily_loss": limits.daily_loss_limit,
            "drawdown": limits.drawdown_limit,
        }
        self.losses = losses(baseline, now.equity_usdt, by_kind)
        for loss in self.losses:
            if self._judge(loss, now.equity_usdt, limits):
                baseline = tripped(baseline, loss.kind)
        self._keep(baseline)

    def _judge(self, loss: Loss, equity_usdt: Decimal, limits: SafetyLimits) -> bool:
        """Warn, doubt, or stop the account for a loss; True = it was stopped just now."""
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
            return False
        if loss.kind not in self._over_once:
            self._over_once.add(loss.kind)
            once_more = Reason(code=loss.kind, text=f"{text}; it is read once more")
            self._obstacles = (*self._obstacles, once_more)
            return False
        self._over_once.discard(loss.kind)
        self._events.clear(key)
        self._stop(loss, text, limits)
        return True

    def _stop(self, loss: Loss, text: str, limits: SafetyLimits) -> None:
        is_daily = loss.kind == "daily_loss"
        action = limits.daily_loss_action if is_daily else limits.drawdown_action
        until_ms = None
        if is_daily and limits.daily_loss_release == "next_day":
            until_ms = next_utc_day_ms(self._wall_ms())
        what = "everything is closed" if action == "flatten" else "nothing is opened"
        until = "midnight UTC, or " if until_ms is not None else ""
        self._trips.stop(
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
    is_start_moved = (now.day, now.day_start_usdt) != (stored.day, stored.day_start_usdt)
    return is_peak_moved or is_start_moved or now.tripped != stored.tripped
