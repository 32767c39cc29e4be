"""The engine's own stops, kept over a restart in `state/trips.json`; `resume` lifts them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from core.control import FREE, Held
from core.errors import ConfigError
from core.events import Events
from core.model import Mode
from core.ports import Clock
from core.store import atomic_write_json, read_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Trip:
    """One stop of one account: reductions only, until a person resumes it."""

    code: str
    text: str
    at_ms: int


class Trips:
    """Stops by account."""

    def __init__(
        self,
        path: Path,
        clock: Clock,
        events: Events,
        resumed_at_ms: Callable[[str], int | None],
    ) -> None:
        self._path = path
        self._clock = clock
        self._events = events
        self._resumed_at_ms = resumed_at_ms
        loaded = _load(path)
        self._trips = loaded or {}
        self._lost_at_ms = None if loaded is not None else clock.now_ms()
        for account, trip in self._trips.items():
            events.alert(f"trip/{account}", trip.text, severity="error", account=account)

    def stop(self, account: str, code: str, text: str) -> None:
        """Stop increases on an account; once, until it is resumed."""
        if self.held(account) != FREE:
            return
        self._trips = {
            **self._trips,
            account: Trip(code=code, text=text, at_ms=self._clock.now_ms()),
        }
        self._events.alert(f"trip/{account}", text, severity="error", account=account)
        self._save()

    def held(self, account: str) -> Held:
        """Tell what holds for an account because of a trip."""
        trip = self._trips.get(account)
        resumed = self._resumed_at_ms(account)
        if trip is None:
            return self._held_for_lost_trips(account, resumed)
        if resumed is not None and resumed >= trip.at_ms:
            self._trips = {a: t for a, t in self._trips.items() if a != account}
            self._events.clear(f"trip/{account}")
            self._save()
            return FREE
        return Mode.PAUSE, f"{trip.code}: {trip.text}"

    def _held_for_lost_trips(self, account: str, resumed: int | None) -> Held:
        """Stop everything that nobody knows not to be stopped, until it is resumed by name."""
        if self._lost_at_ms is None or (resumed is not None and resumed >= self._lost_at_ms):
            return FREE
        text = (
            f"{self._path} cannot be read, so nobody knows whether {account} was stopped: "
            f"look, then `trade-engine resume --account {account}`"
        )
        return Mode.PAUSE, f"trips_lost: {text}"

    def _save(self) -> None:
        rows = {
            account: {"code": t.code, "text": t.text, "at_ms": t.at_ms}
            for account, t in self._trips.items()
        }
        try:
            atomic_write_json(self._path, {"accounts": rows})
        except OSError as error:
            self._events.alert("disk/trips", f"state/trips.json: {error}", severity="error")
        else:
            self._events.clear("disk/trips")


def _load(path: Path) -> dict[str, Trip] | None:
    """Read the file; None = it is there and cannot be understood."""
    try:
        rows = read_json(path)["accounts"]
        return {
            account: Trip(code=row["code"], text=row["text"], at_ms=int(row["at_ms"]))
            for account, row in rows.items()
        }
    except FileNotFoundError:
        return {}
    except (ConfigError, OSError, AttributeError, KeyError, TypeError, ValueError):
        return None
