"""The engine's own stops, kept over a restart in `state/trips.json`; `resume` lifts them.

A trip stops one account, or everything. Only a `resume` of exactly that scope lifts it, or the time
that it was given; the strictest of trips, control and `state/HALT` holds.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from core.control import FREE, Control, Held, Scope, strictest
from core.errors import ConfigError
from core.events import Events
from core.model import Mode
from core.ports import Clock
from core.store import atomic_write_bytes, atomic_write_json, read_json

LOST: Final = "trips_lost"
LOST_KEY: Final = ("", LOST)
SAVE_AGAIN_MS: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Trip:
    """One stop; `account` None = everything, `until_ms` None = until a person resumes it."""

    code: str
    text: str
    at_ms: int
    account: str | None
    mode: Mode = Mode.PAUSE
    until_ms: int | None = None
    number: int | None = None  # of people's decisions when it began; None in older files

    @property
    def key(self) -> tuple[str, str]:
        """Name it: one of a code stands at a time."""
        return (self.account or "", self.code)

    @property
    def mark(self) -> "Mark":
        """When it began, and when it ends."""
        return Mark(at_ms=self.at_ms, number=self.number, until_ms=self.until_ms)

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
            "number": self.number,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """When a stop began, kept apart from it: enough to tell whether it is lifted."""

    at_ms: int
    number: int | None
    until_ms: int | None = None


class Trips:
    """All stops in force; `read_control` gives what people decided."""

    def __init__(
        self, path: Path, clock: Clock, events: Events, read_control: Callable[[], Control]
    ) -> None:
        self._path = path
        self._clock = clock
        self._events = events
        self._read_control = read_control
        self._owes_save_ms: int | None = None  # when it was last tried in vain
        self._lost: Trip | None = None  # stands for stops that nobody can know of
        self._trips: dict[tuple[str, str], Trip] = {}
        self._load()
        for trip in self._trips.values():
            self._raise(trip)

    def _load(self) -> None:
        try:
            trips = {trip.key: trip for trip in read_trips(self._path)}
        except ConfigError as error:
            self._keep_aside(str(error))
            return
        self._lost = trips.pop(LOST_KEY, None)
        self._trips = trips

    def _keep_aside(self, error: str) -> None:
        """Remember, also on disk, that there may have been stops of any account."""
        now_ms = self._clock.now_ms()
        self._copy(self._path.with_name(f"{self._path.name}.damaged-{now_ms}"))
        self._lost = Trip(
            code=LOST,
            text=error,
            at_ms=now_ms,
            account=None,
            number=self._read_control().number,
        )
        self._save()

    def stop(
        self,
        account: str | None,
        code: str,
        text: str,
        *,
        mode: Mode = Mode.PAUSE,
        until_ms: int | None = None,
    ) -> Trip:
        """Stop an account, or everything (None); once, until it is lifted. Gives what stands."""
        self._release()
        trip = Trip(
            code=code,
            text=text,
            at_ms=self._clock.now_ms(),
            account=account,
            mode=mode,
            until_ms=until_ms,
            number=self._read_control().number,
        )
        if trip.key not in self._trips:
            self._trips = {**self._trips, trip.key: trip}
            self._raise(trip)
            self._save()
        return self._trips[trip.key]

    def standing(self) -> tuple[Trip, ...]:
        """All that are in force."""
        self._release()
        self._perhaps_save_again()
        return tuple(self._trips.values())

    def find(self, account: str | None, code: str) -> Trip | None:
        """Find a stop that is in force."""
        return next((t for t in self.standing() if t.key == (account or "", code)), None)

    def has(self, account: str | None, code: str) -> bool:
        """Tell whether a stop is in force."""
        return self.find(account, code) is not None

    def is_released(self, account: str | None, mark: "Mark") -> bool:
        """Tell whether a stop that began at `mark` is lifted, whatever became of its record."""
        over = mark.until_ms is not None and self._clock.now_ms() >= mark.until_ms
        return over or self._read_control().has_resumed(
            Scope(account=account), number=mark.number, at_ms=mark.at_ms
        )

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
        if self._read_control().has_resumed(
            Scope(account=trip.account), number=trip.number, at_ms=trip.at_ms
        ):
            return "somebody resumed it"
        is_past = trip.until_ms is not None and self._clock.now_ms() >= trip.until_ms
        return "its time is over" if is_past else ""

    def _raise(self, trip: Trip) -> None:
        self._events.alert(trip.alert_key, trip.text, severity="error", account=trip.account or "")

    def _held_for_lost_trips(self, account: str) -> Held:
        """Stop everything that nobody knows not to be stopped, until it is resumed by name."""
        lost = self._lost
        if lost is None or self._read_control().has_resumed(
            Scope(account=account), number=lost.number, at_ms=lost.at_ms
        ):
            return FREE
        text = (
            f"{self._path} could not be read, so nobody knows whether {account} was stopped: "
            f"look, then `trade-engine resume --account {account}`"
        )
        return Mode.PAUSE, f"{LOST}: {text}"

    def _copy(self, aside: Path) -> None:
        with suppress(OSError):
            atomic_write_bytes(aside, self._path.read_bytes())

    def _perhaps_save_again(self) -> None:
        owed_ms = self._owes_save_ms
        if owed_ms is not None and self._clock.now_ms() - owed_ms >= SAVE_AGAIN_MS:
            self._save()

    def _save(self) -> None:
        kept = [*self._trips.values(), *([self._lost] if self._lost is not None else ())]
        try:
            atomic_write_json(self._path, {"trips": [trip.to_row() for trip in kept]})
        except OSError as error:
            self._owes_save_ms = self._clock.now_ms()
            self._events.alert("disk/trips", f"state/trips.json: {error}", severity="error")
        else:
            self._owes_save_ms = None
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
        number=None if row.get("number") is None else int(row["number"]),
    )
