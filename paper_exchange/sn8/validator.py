"""The simulated validator: its miners, its files and what is wrong with them on purpose.

Time comes from a clock and moves only when the server ticks or somebody asks. Nothing is made
before the first look, so that an exchange without followers pays nothing for it.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Any

from core.errors import ConfigError
from core.ports import Clock
from paper_exchange.sn8 import trading
from paper_exchange.sn8.faults import KINDS, Misbehaviours
from paper_exchange.sn8.files import Files, View
from paper_exchange.sn8.keys import KeyRing
from paper_exchange.sn8.market import Elimination, departed, make_miners
from paper_exchange.sn8.model import Miner, Position
from paper_exchange.sn8.options import SETTABLE, Sn8Options
from paper_exchange.sn8.quotes import DAY_MS, PAIRS
from paper_exchange.sn8.trading import Move, Moved

KEPT_REQUESTS = 1000
MOST_AT_ONCE = 100  # changes that are pushed after a gap in time; more are told as a gap


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenRequest:
    """A line of the request log; `path` is without /sn8, with its query."""

    at_ms: int
    path: str
    status: int


class Validator:
    """Miners, files and misbehaviours, without sockets."""

    def __init__(
        self, options: Sn8Options, clock: Clock, seed: int = 0, credentials: Path | None = None
    ) -> None:
        self.options = options
        self.clock = clock
        self.seed = seed if options.seed is None else options.seed
        self.keys = KeyRing(options.keys, credentials)
        self.faults = Misbehaviours()
        self.files = Files()
        self.requests: deque[SeenRequest] = deque(maxlen=KEPT_REQUESTS)
        self.eliminations: tuple[Elimination, ...] = ()
        self.on_push: Callable[[Position], None] = lambda _: None
        self.on_gap: Callable[[int], None] = lambda _: None
        self.on_clear: Callable[[], None] = lambda: None
        self._miners: dict[str, Miner] | None = None
        self._making = Lock()
        self._moved_until_ms = 0
        self._started_ms = 0

    def start(self) -> None:
        """Begin to count the time until the first build."""
        self._started_ms = self.clock.now_ms()

    @property
    def is_made(self) -> bool:
        """True once somebody looked."""
        return self._miners is not None

    @property
    def miners(self) -> Mapping[str, Miner]:
        """All miners by hotkey, as they stand now; made at the first look."""
        with self._making:
            if self._miners is None:
                self._miners = self._made()
            return self._miners

    @property
    def hotkeys(self) -> list[str]:
        """All hotkeys, by index."""
        return list(self.miners)

    def catch_up(self) -> None:
        """Let the miners trade up to now, and rebuild the files if it is time."""
        now_ms = self.clock.now_ms()
        self._trade(now_ms)
        wait_s = self.options.first_build_after_s
        since_ms = self._started_ms
        if self.files.built_ms is not None:
            wait_s, since_ms = self.options.rebuild_every_s, self.files.built_ms
        # a clock that was set back must not stop the files
        is_due = not since_ms <= now_ms < since_ms + 1000 * wait_s
        if is_due and self.faults.active("stale_file") is None:
            self.rebuild()

    def rebuild(self) -> None:
        """Build the files now, whatever the interval and `stale_file` say."""
        self.files.build(self.view())

    def view(self) -> View:
        """What a build would see now."""
        return View(
            seed=self.seed,
            at_ms=self.clock.now_ms(),
            miners=tuple(self.miners.values()),
            judged=self._able(),
            tampering=self.faults.rows("content"),
        )

    def held(self, pair: str, hotkey: str | None = None, index: int = 0) -> float:
        """Leverage of a miner in a pair, > 0 long."""
        position = self.position(pair, hotkey, index)
        return position.net_leverage if position else 0.0

    def position(self, pair: str, hotkey: str | None = None, index: int = 0) -> Position | None:
        """The open position of a miner in a pair. Raises ConfigError for an unknown miner."""
        return self._miner(hotkey, index).held(pair)

    def set_position(
        self, pair: str, net_leverage: float, *, hotkey: str | None = None, index: int = 0
    ) -> tuple[Position, ...]:
        """Have a miner place what takes it to that leverage; pushes and gives each new state.

        Through zero it closes and opens anew. Raises ConfigError beyond the pair's limit.
        """
        market = PAIRS.get(pair)
        if market is None:
            raise ConfigError(f"pair {pair!r} is not traded here; known: {', '.join(PAIRS)}")
        is_number = isinstance(net_leverage, int | float)
        if not is_number or not abs(net_leverage) <= market.max_leverage:
            limit = market.max_leverage
            raise ConfigError(f"net_leverage of {pair} must be -{limit}..{limit}")
        miner = self._miner(hotkey, index)
        if any(row.hotkey == miner.hotkey for row in self.eliminations):
            raise ConfigError(f"{miner.hotkey} is eliminated")
        move = Move(hotkey=miner.hotkey, pair=pair, net=net_leverage)
        return self._take(trading.apply_move(miner, move, self.seed, self.clock.now_ms()))

    def eliminate(
        self, *, hotkey: str | None = None, index: int = 0, reason: str = "MAX_TOTAL_DRAWDOWN"
    ) -> tuple[Position, ...]:
        """Eliminate a miner: its positions are closed at no price; pushes and gives them."""
        miner = self._miner(hotkey, index)
        now_ms = self.clock.now_ms()
        if any(row.hotkey == miner.hotkey for row in self.eliminations):
            raise ConfigError(f"{miner.hotkey} is eliminated")
        row = Elimination(hotkey=miner.hotkey, reason=reason, at_ms=now_ms, drawdown=0.899)
        self.eliminations = (*self.eliminations, row)
        return self._take(trading.eliminate(miner, self.seed, now_ms))

    def misbehave(self, kind: str, **params: Any) -> int:  # noqa: ANN401 - JSON values
        """Put a misbehaviour into force (kinds and parameters: `faults.py`); returns its id.

        What changes the files' content shows at once. Raises ConfigError.
        """
        known = KINDS.get(kind)
        if known and (known.is_of_one or known.may_be_of_one) and {"hotkey", "index"} & set(params):
            who = self._miner(params.pop("hotkey", None), params.pop("index", 0))
            params["hotkey"] = who.hotkey
        row = self.faults.add(kind, params)
        self._show(row.group == "content")
        return row.id

    def behave(self, which: str | int | None = None) -> None:
        """Take out all misbehaviours, those of a kind, or one by its id."""
        was_content = bool(self.faults.rows("content"))
        self.faults.clear(which)
        self._show(was_content)
        self.on_clear()

    def change_settings(self, **wanted: Any) -> None:  # noqa: ANN401 - JSON values
        """Change options while it runs. Raises ConfigError."""
        odd = sorted(set(wanted) - set(SETTABLE))
        if odd:
            raise ConfigError(f"cannot set {', '.join(odd)}; known: {', '.join(SETTABLE)}")
        self.options = replace(self.options, **wanted)

    def state(self) -> dict[str, Any]:
        """Everything about it but its keys, for the control page."""
        return {
            "seed": self.seed,
            **{name: getattr(self.options, name) for name in SETTABLE},
            "door": "strict" if self.keys.is_strict else "open",
            "built_at_ms": self.files.built_ms,
            "misbehaviours": [asdict(row) for row in self.faults.rows()],
            "eliminated": [row.hotkey for row in self.eliminations],
            "miners": [
                {
                    "index": miner.index,
                    "hotkey": miner.hotkey,
                    "bucket": miner.bucket,
                    "asset_class": miner.asset_class,
                    "closed": len(miner.history),
                    "open": {row.pair: row.net_leverage for row in miner.holding},
                }
                for miner in self.miners.values()
            ],
        }

    def log(self, path: str, status: int) -> None:
        """Note a request."""
        row = SeenRequest(at_ms=self.clock.now_ms(), path=path, status=status)
        self.requests.append(row)

    def _made(self) -> dict[str, Miner]:
        """The day's beginning, and what the miners did since."""
        now_ms = self.clock.now_ms()
        day = now_ms // DAY_MS
        found = {row.hotkey: row for row in make_miners(self.seed, day, self.options.miners)}
        self.eliminations = departed(self.seed, day)
        self._moved_until_ms = now_ms
        return trading.replay(found, self.seed, day * DAY_MS, now_ms, self._every_ms)

    @property
    def _every_ms(self) -> int:
        return round(1000 * self.options.change_every_s)

    def _trade(self, now_ms: int) -> None:
        self._able()  # made before the time below is read
        after_ms, self._moved_until_ms = self._moved_until_ms, max(now_ms, self._moved_until_ms)
        due = list(trading.slots(self.seed, after_ms, now_ms, self._every_ms))
        if len(due) > MOST_AT_ONCE:  # asleep for long: nobody is told, everybody notices
            able = {row.hotkey: row for row in self._able()}
            moved = trading.replay(able, self.seed, after_ms, now_ms, self._every_ms)
            self._miners = {**self.miners, **moved}
            self.on_gap(len(due))
            return
        for number, at_ms in due:
            move = trading.next_move(self._able(), self.seed, number, at_ms)
            if move is not None:
                miner = self.miners[move.hotkey]
                self._take(trading.apply_move(miner, move, self.seed, at_ms))

    def _able(self) -> tuple[Miner, ...]:
        """Those that are not eliminated."""
        miners = self.miners
        gone = {row.hotkey for row in self.eliminations}
        return tuple(row for row in miners.values() if row.hotkey not in gone)

    def _take(self, moved: Moved) -> tuple[Position, ...]:
        self._miners = {**self.miners, moved.miner.hotkey: moved.miner}
        for position in moved.pushes:
            self.on_push(position)
        return moved.pushes

    def _miner(self, hotkey: str | None, index: int) -> Miner:
        miners = self.miners
        if hotkey is not None:
            found = miners.get(hotkey)
        else:
            found = next((row for row in miners.values() if row.index == index), None)
        if found is None:
            raise ConfigError(f"no miner with hotkey {hotkey!r} or index {index!r}")
        return found

    def _show(self, has_changed: bool) -> None:
        """Show changed content at once, unless the files are stale or were never built."""
        is_stale = self.faults.active("stale_file") is not None
        if has_changed and self.files.built_ms is not None and not is_stale:
            self.rebuild()
