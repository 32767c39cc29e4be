"""The simulated validator as the server has it: its routes, its clockwork and what tests do to it.

`server.sn8` is one of these. `do` is the same by name, for the control page.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aiohttp import web

from core.errors import ConfigError
from core.ports import Clock
from paper_exchange.sn8.faults import KINDS
from paper_exchange.sn8.keys import PREFIX
from paper_exchange.sn8.model import Position
from paper_exchange.sn8.options import Sn8Options
from paper_exchange.sn8.rest import Rest
from paper_exchange.sn8.stream import SERVER_ERROR, Stream
from paper_exchange.sn8.validator import SeenRequest, Validator

GARBAGE = "<not json \x00"
ACTIONS = (
    *("set_position", "eliminate", "rebuild", "settings", "clear"),
    *("disconnect", "repeat_sequence", "garbage", "stale_message"),
)


class SimulatedValidator:
    """Everything under /sn8."""

    def __init__(
        self, options: Sn8Options, clock: Clock, seed: int = 0, credentials: Path | None = None
    ) -> None:
        self._validator = Validator(options, clock, seed, credentials)
        self._rest = Rest(self._validator)
        self._stream = Stream(self._validator, self._rest.ready)
        self._validator.on_push = self._stream.push
        self._validator.on_gap = self._stream.skip
        self._validator.on_clear = self._stream.flush

    def routes(self) -> list[web.RouteDef]:
        """All paths under /sn8, the websocket's among them."""
        return [web.get(f"{PREFIX}/ws", self._stream.serve), *self._rest.routes()]

    def start(self) -> None:
        """Begin to count the time until the first build."""
        self._validator.start()
        self._stream.start()

    def tick(self) -> None:
        """Let time pass, if anybody ever looked."""
        if self._validator.is_made:
            self._validator.catch_up()

    async def close(self) -> None:
        """Let nobody wait for an answer any longer."""
        self._rest.stopping.set()
        await self._stream.close()

    @property
    def options(self) -> Sn8Options:
        """How it is now."""
        return self._validator.options

    @property
    def hotkeys(self) -> list[str]:
        """All hotkeys, by index."""
        return self._validator.hotkeys

    @property
    def connections(self) -> int:
        """How many websocket clients came in and are still there."""
        return len(self._stream.connections)

    @property
    def subscribers(self) -> int:
        """How many of them listen to positions."""
        return sum(row.is_subscribed for row in self._stream.connections)

    @property
    def large_bytes_sent(self) -> int:
        """How much of the newest `gzip_bomb` or `oversize` body left, compressed bytes."""
        return self._rest.large_bytes_sent

    def requests(self, path: str = "") -> list[SeenRequest]:
        """REST requests so far, of those whose path begins so."""
        return [row for row in self._validator.requests if row.path.startswith(path)]

    def held(self, pair: str, *, hotkey: str | None = None, index: int = 0) -> float:
        """Leverage of a miner in a pair, > 0 long."""
        return self._validator.held(pair, hotkey, index)

    def set_position(
        self, pair: str, net_leverage: float, *, hotkey: str | None = None, index: int = 0
    ) -> None:
        """Have a miner trade to that leverage; through zero it closes and opens anew.

        The websocket tells at once, the files after their next build. Raises ConfigError.
        """
        self._validator.set_position(pair, net_leverage, hotkey=hotkey, index=index)

    def eliminate(
        self, *, hotkey: str | None = None, index: int = 0, reason: str = "MAX_TOTAL_DRAWDOWN"
    ) -> None:
        """Eliminate a miner and close what it holds. Raises ConfigError."""
        self._validator.eliminate(hotkey=hotkey, index=index, reason=reason)

    def rebuild(self) -> None:
        """Build the files now."""
        self._validator.rebuild()

    def misbehave(self, kind: str, **params: Any) -> int:  # noqa: ANN401 - JSON values
        """Put a misbehaviour into force (kinds: `faults.py`); gives its id. Raises ConfigError."""
        return self._validator.misbehave(kind, **params)

    def clear(self, which: str | int | None = None) -> None:
        """Take out all misbehaviours, those of a kind, or one by its id."""
        self._validator.behave(which)

    def settings(self, **wanted: Any) -> None:  # noqa: ANN401 - JSON values
        """Change options while it runs. Raises ConfigError."""
        self._validator.change_settings(**wanted)

    def disconnect(self, *, code: int = SERVER_ERROR, is_abrupt: bool = False) -> None:
        """End every connection, with a close code or without a word."""
        self._stream.disconnect(code=code, is_abrupt=is_abrupt)

    def repeat_sequence(self, *, back: int = 10) -> None:
        """Crash: connections are lost, the last numbers come again."""
        self._stream.crash(back=back)

    def garbage(self, *, text: str = GARBAGE, kb: int = 0, is_binary: bool = False) -> None:
        """Send a frame that is no message, blown up to so many kilobytes."""
        filled = text + " " * max(0, kb * 1024 - len(text))
        self._stream.say_to_all(filled.encode() if is_binary else filled)

    def stale_message(
        self, pair: str, *, age_s: float = 60.0, hotkey: str | None = None, index: int = 0
    ) -> None:
        """Push an open position with the orders of some time ago. Raises ConfigError."""
        self._stream.push_stale(self._open(pair, hotkey, index), round(1000 * age_s))

    def do(self, action: str, params: Mapping[str, Any]) -> int | None:
        """Do what a name says: an action of this class, or a misbehaviour, whose id it gives.

        Raises ConfigError.
        """
        if action not in {*ACTIONS, *KINDS}:
            known = ", ".join((*ACTIONS, *KINDS))
            raise ConfigError(f"cannot do {action!r}; known: {known}")
        try:
            if action in KINDS:
                return self.misbehave(action, **params)
            getattr(self, action)(**params)
        except (TypeError, AttributeError) as error:
            raise ConfigError(f"{action} does not take {dict(params)}: {error}") from error
        return None

    def state(self) -> dict[str, Any]:
        """Everything about it but its keys."""
        return {
            **self._validator.state(),
            "sequence": self._stream.sequence,
            "connections": self.connections,
            "subscribers": self.subscribers,
            "requests": len(self._validator.requests),
            "large_bytes_sent": self.large_bytes_sent,
        }

    def summary(self) -> dict[str, int]:
        """What the status shows."""
        return {"miners": self.options.miners, "connections": self.connections}

    async def ready(self) -> None:
        """Have everything made and brought up to now."""
        await self._rest.ready()

    def _open(self, pair: str, hotkey: str | None, index: int) -> Position:
        found = self._validator.position(pair, hotkey, index)
        if found is None:
            raise ConfigError(f"this miner holds nothing in {pair!r}")
        return found
