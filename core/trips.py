"""The engine's own stops, kept over a restart in `state/trips.json`; `resume` lifts them.

A trip stops one account, or everything. Only a `resume` of exactly that scope lifts it, or the time
that it was given; the strictest of trips, control and `state/HALT` holds.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.control import FREE, Held, strictest
from core.errors import ConfigError
from core.events import Events
from core.model import Mode
from core.ports import Clock
from core.store import atomic_write_json, read_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Trip:
    """One stop; `account` None = everything, `until_ms` None = until a person resumes it."""

    code: str
    text: str
    at_ms: int
    account: str | None
    mode: Mode = Mode.PAUSE
    until_ms: int | None = None

    @property
    def key(self) -> tuple[str, str]:
        """Name it: one of a code stands at a time."""
        return (self.account or "", self.code)

    @property
    def id(self) -> str:
        """Tell it from others of its code, earlier or later; without spaces."""
        return f"{self.code}@{self.at_ms}"

    def flattens(self, account: str) -> bool:
        """Tell whether it closes everything on an account."""
        return self.mode is Mode.FLATTEN and self.account in (None, account)

    @property
    def alert_key(self) -> str:
        """Name its alert."""
        return f"trip/{self.code}/{self.account or 'everything'}"

    @property
    def reason(self) -> str:
        """Say it in one line."""
        return f"{self.code}: {self.text}"

    def to_row(self) -> dict[str, Any]:
        """Give its JSON object."""
        return {
            "code": self.code,
            "text": self.text,
            "at_ms": self.at_ms,
            "account": self.account,
            "mode": str(self.mode),
            "until_ms": self.until_ms,
        }


class Trips:
    """All stops in force.

    `resumed_at_ms` tells when a person last resumed exactly that account, or everything (None).
    """

    def __init__(
        self,
        path: Path,
        clock: Clock,
        events: Events,
        resumed_at_ms: Callable[[str | None], int | None],
    ) -> None:
        self._path = path
        self._clock = clock
        self._events = events
        self._resumed_at_ms = resumed_at_ms
        try:
            self._trips = {trip.key: trip for trip in read_trips(path)}
            self._lost_at_ms = None
        except ConfigError:
            self._trips = {}
            self._lost_at_ms = clock.now_ms()
        for trip in self._trips.values():
            self._raise(trip)

    def stop(
        self,
        account: str | None,
        code: str,
        text: str,
        *,
        mode: Mode = Mode.PAUSE,
        until_ms: int | None = None,
    ) -> None:
        """Stop an account, or everything (None); once, until it is lifted."""
        self._release()
        trip = Trip(
            code=code,
            text=text,
            at_ms=self._clock.now_ms(),
            account=account,
            mode=mode,
            until_ms=until_ms,
        )
        if trip.key in self._trips:
            return
        self._trips = {**self._trips, trip.key: trip}
        self._raise(trip)
        self._save()

    def standing(self) -> tuple[Trip, ...]:
        """All that are in force."""
        self._release()
        return tuple(self._trips.values())

    def has(self, account: str | None, code: str) -> bool:
        """Tell whether a stop is in force."""
        return any(trip.key == (account or "", code) for trip in self.standing())

    def held(self, account: str) -> Held:
        """Tell what holds for an account because of trips."""
        ours = [trip for trip in self.standing() if trip.account in (None, account)]
        return strictest(*((t.mode, t.reason) for t in ours), self._held_for_lost_trips(account))

    def _release(self) -> None:
        """Let go what a person lifted, or whose time is over."""
        over = {key: why for key, trip in self._trips.items() if (why := self._over(trip))}
        if not over:
            return
        gone = [self._trips[key] for key in over]
        self._trips = {key: trip for key, trip in self._trips.items() if key not in over}
        for trip in gone:
            self._events.clear(trip.alert_key)
            self._events.emit(
                "trip_lifted",
                f"{trip.code} of {trip.account or 'everything'} is lifted: {over[trip.key]}",
                account=trip.account or "",
            )
        self._save()

    def _over(self, trip: Trip) -> str:
        resumed = self._resumed_at_ms(trip.account)
        if resumed is not None and resumed >= trip.at_ms:
            return "somebody resumed it"
        is_past = trip.until_ms is not None and self._clock.now_ms() >= trip.until_ms
        return "its time is over" if is_past else ""

    def _raise(self, trip: Trip) -> None:
        self._events.alert(trip.alert_key, trip.text, severity="error", account=trip.account or "")

    def _held_for_lost_trips(self, account: str) -> Held:
        """Stop everything that nobody knows not to be stopped, until it is resumed by name."""
        resumed = self._resumed_at_ms(account)
        if self._lost_at_ms is None or (resumed is not None and resumed >= self._lost_at_ms):
            return FREE
        text = (
            f"{self._path} cannot be read, so nobody knows whether {account} was stopped: "
            f"look, then `trade-engine resume --account {account}`"
        )
        return Mode.PAUSE, f"trips_lost: {text}"

    def _save(self) -> None:
        rows = [trip.to_row() for trip in self._trips.values()]
        try:
            atomic_write_json(self._path, {"trips": rows})
        except OSError as error:
            self._events.alert("disk/trips", f"state/trips.json: {error}", severity="error")
        else:
            self._events.clear("disk/trips")


def read_trips(path: Path) -> tuple[Trip, ...]:
    """Read the file; none when there is none. Raises ConfigError when it cannot be understood."""
    try:
        return tuple(_trip(row) for row in _rows(read_json(path)))
    except FileNotFoundError:
        return ()
    except (OSError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"{path} cannot be understood: {error}") from error


def _rows(document: Any) -> list[Mapping[str, Any]]:  # noqa: ANN401 - any JSON value
    if "accounts" in document:  # as earlier versions wrote it: one stop an account
        return [{**row, "account": name} for name, row in document["accounts"].items()]
    return list(document["trips"])


def _trip(row: Mapping[str, Any]) -> Trip:
    account, until_ms = row["account"], row.get("until_ms")
    return Trip(
        code=str(row["code"]),
        text=str(row["text"]),
        at_ms=int(row["at_ms"]),
        account=None if account is None else str(account),
        mode=Mode(row.get("mode", "pause")),
        until_ms=None if until_ms is None else int(until_ms),
    )
