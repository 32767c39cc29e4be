"""What the sources say now, mapped to our symbols, and what was last confirmed.

A source whose files or mapping vanished keeps its last known value (A7): absent never means flat.
Reads new bytes of the journals only; sends nothing and knows no account's targets.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from core.errors import ConfigError
from core.events import Events
from core.home import Home
from core.model import ZERO, Contribution, Signal
from core.ports import Clock, SignalSource
from core.settings import Settings
from core.store import atomic_write_json, read_json

GONE: Final = "/moved"  # at the end of the id of a word that counts no more
Known = dict[str, dict[str, dict[str, Contribution]]]
"""Last known contributions by source, source symbol and our symbol."""


class SignalManager:
    """All sources, as contributions."""

    def __init__(
        self, home: Home, sources: Sequence[SignalSource], clock: Clock, events: Events
    ) -> None:
        self._contributions_file = home.state / "contributions.json"
        self._depths_file = home.account_asset_depths
        self._sources = sources
        self._clock = clock
        self._events = events
        self.lifted_at_ms: Callable[[str], int | None] = lambda _symbol: None
        """When a person last resumed a symbol on all accounts, by our name of it."""
        self._missing_since_ms: dict[tuple[str, str, str], int] = {}
        self._known = self._load_known()
        self._stored_missing_ms = dict(self._missing_since_ms)
        self._depths = _load_depths(self._depths_file)
        self._newest: Mapping[str, Mapping[str, Signal] | None] = {}
        self.previous_signals: Mapping[str, Mapping[str, Signal]] = {}

    def sweep(self) -> None:
        """Read what is new of every source."""
        self._newest = {source.name: source.sweep() for source in self._sources}
        for name, newest in self._newest.items():
            self._tell_lost(name, is_lost=newest is None)
        self.previous_signals = {name: newest or {} for name, newest in self._newest.items()}

    def contributions(self, settings: Settings) -> tuple[Contribution, ...]:
        """Give what each source says of each symbol under these settings; changes nothing."""
        found: list[Contribution] = []
        for source in self._sources:
            mapping = settings.mapping.get(source.name, {})
            found.extend(self._of_source(source, self._newest.get(source.name), mapping))
        return tuple(found)

    def collect(self, settings: Settings) -> tuple[Contribution, ...]:
        """Sweep, and take what the sources say under settings that are in force."""
        self.sweep()
        found = self.contributions(settings)
        self.remember(found)
        return found

    def signal_age_s(self) -> dict[str, int | None]:
        """Seconds since each source was last heard; None = it never spoke.

        An instruction is heard when it comes, a level also when it is confirmed.
        """
        now_ms = self._clock.now_ms()
        ages: dict[str, int | None] = {}
        for source in self._sources:
            times = [s.received_at_ms for s in self.previous_signals.get(source.name, {}).values()]
            confirmed_at_ms = source.confirmed_at_ms() if source.is_level else None
            times += [] if confirmed_at_ms is None else [confirmed_at_ms]
            ages[source.name] = max(0, now_ms - max(times)) // 1000 if times else None
        return ages

    def confirm_execution(
        self, account: str, versions: Mapping[str, str], depths: Mapping[str, Decimal]
    ) -> None:
        """Note the depths that were seen to be held: a hint for people, in a file of their own."""
        if not versions:
            return
        account_depths = {**self._depths.get(account, {})}
        account_depths.update({symbol: str(depths.get(symbol, ZERO)) for symbol in versions})
        self._depths = {**self._depths, account: account_depths}
        try:
            atomic_write_json(self._depths_file, self._depths)
        except OSError as error:
            self._events.alert(
                "disk/depths", f"{self._depths_file.name}: {error}", severity="error"
            )
        else:
            self._events.clear("disk/depths")

    def _of_source(
        self,
        source: SignalSource,
        newest: Mapping[str, Signal] | None,
        mapping: Mapping[str, str],
    ) -> list[Contribution]:
        confirmed_at_ms = source.confirmed_at_ms() if source.is_level else None
        known = self._known.get(source.name, {})
        found: list[Contribution] = []
        for source_symbol, signal in (newest or {}).items():
            symbol = mapping.get(source_symbol)
            if symbol is None:
                continue
            found.append(
                Contribution(
                    source=source.name,
                    source_symbol=source_symbol,
                    symbol=symbol,
                    depth=signal.depth,
                    leverage=signal.leverage,
                    signal_id=signal.id,
                    received_at_ms=signal.received_at_ms,
                    confirmed_at_ms=confirmed_at_ms,
                    is_level=source.is_level,
                    is_simulated=signal.meta.get("simulated") is True,
                )
            )
        fresh = {(c.source_symbol, c.symbol) for c in found}
        for source_symbol, by_symbol in known.items():
            for symbol, last in by_symbol.items():
                if (source_symbol, symbol) not in fresh:
                    is_let_go = newest is not None and self._is_let_go(last)
                    mapped_to = mapping.get(source_symbol)
                    found.append(_vanished(last, mapped_to, is_let_go=is_let_go))
        return found

    def _is_let_go(self, last: Contribution) -> bool:
        """Tell whether a person resumed the symbol after its mapping was seen to be missing."""
        since_ms = self._missing_since_ms.get((last.source, last.source_symbol, last.symbol))
        lifted_ms = self.lifted_at_ms(last.symbol)
        return since_ms is not None and lifted_ms is not None and lifted_ms >= since_ms

    def _tell_lost(self, source: str, *, is_lost: bool) -> None:
        key = f"source_lost/{source}"
        if is_lost:
            text = (
                f"the files of {source} are gone or unreadable (raw_signals/{source}): its last "
                "known targets are held; put the files back"
            )
            self._events.alert(key, text, severity="error")
        else:
            self._events.clear(key)

    def _tell_missing(self, source: str, found: Sequence[Contribution]) -> None:
        missing = sorted(c.source_symbol for c in found if c.is_last_known)
        symbols = sorted({c.symbol for c in found if c.is_last_known})
        key = f"last_known/{source}"
        if not missing:
            self._events.clear(key)
            return
        text = (
            f"{source}: the mapping or the files of {', '.join(missing)} are missing; the last "
            "known targets are held: put them back (asset_mapping_config.json), or let a removed "
            f"mapping go: {', '.join(f'./trade-engine resume {symbol}' for symbol in symbols)}"
        )
        self._events.alert(key, text)

    def remember(self, found: Sequence[Contribution]) -> None:
        """Keep what the sources say now as their last known word."""
        for one in self._sources:
            self._tell_missing(one.name, [c for c in found if c.source == one.name])
        known: Known = {}
        for said in found:
            rows = known.setdefault(said.source, {}).setdefault(said.source_symbol, {})
            rows[said.symbol] = said
            self._note_missing(said)
        for source, before in self._known.items():
            known.setdefault(source, before)  # a source that is not enabled any more
        encoded = _encode(known, self._missing_since_ms)
        if encoded == _encode(self._known, self._stored_missing_ms):
            return
        self._known, self._stored_missing_ms = known, dict(self._missing_since_ms)
        try:
            atomic_write_json(self._contributions_file, encoded)
        except OSError as error:
            text = f"state/contributions.json: {error}"
            self._events.alert("disk/contributions", text, severity="error")
        else:
            self._events.clear("disk/contributions")

    def _note_missing(self, said: Contribution) -> None:
        key = (said.source, said.source_symbol, said.symbol)
        if said.is_last_known:
            self._missing_since_ms.setdefault(key, self._clock.now_ms())
        elif not said.signal_id.endswith(GONE):
            self._missing_since_ms.pop(key, None)

    def _load_known(self) -> Known:
        try:
            document = read_json(self._contributions_file)
            known = _decode(document)
            self._missing_since_ms = _missing(document)
        except FileNotFoundError:
            return {}
        except (ConfigError, AttributeError, KeyError, TypeError, ValueError, ArithmeticError):
            self._events.alert(
                "contributions_lost",
                "state/contributions.json cannot be read: a source that lost its files cannot be "
                "told from one that never spoke",
            )
            return {}
        return known


def _vanished(last: Contribution, mapped_to: str | None, *, is_let_go: bool) -> Contribution:
    """Hold what is missing; what a person mapped elsewhere or let go says nothing here now."""
    is_moved = mapped_to is not None and mapped_to != last.symbol
    if not is_moved and not (is_let_go and mapped_to is None):
        return replace(last, is_last_known=True)
    signal_id = f"{last.signal_id.removesuffix(GONE)}{GONE}"
    return replace(last, depth=ZERO, signal_id=signal_id, is_last_known=False)


def _encode(known: Known, missing_since_ms: Mapping[tuple[str, str, str], int]) -> dict[str, Any]:
    return {
        source: {
            source_symbol: {
                symbol: {
                    "depth": str(c.depth),
                    "leverage": None if c.leverage is None else str(c.leverage),
                    "signal_id": c.signal_id,
                    "received_at_ms": c.received_at_ms,
                    "is_level": c.is_level,
                    "is_simulated": c.is_simulated,
                    "missing_since_ms": missing_since_ms.get((source, source_symbol, symbol)),
                }
                for symbol, c in by_symbol.items()
            }
            for source_symbol, by_symbol in rows.items()
        }
        for source, rows in known.items()
    }


def _decode(raw: Mapping[str, Any]) -> Known:
    return {
        source: {
            source_symbol: {
                symbol: Contribution(
                    source=source,
                    source_symbol=source_symbol,
                    symbol=symbol,
                    depth=Decimal(row["depth"]),
                    leverage=None if row["leverage"] is None else Decimal(row["leverage"]),
                    signal_id=row["signal_id"],
                    received_at_ms=int(row["received_at_ms"]),
                    is_level=bool(row["is_level"]),
                    is_simulated=bool(row.get("is_simulated", False)),  # absent in older files
                )
                for symbol, row in by_symbol.items()
            }
            for source_symbol, by_symbol in rows.items()
        }
        for source, rows in raw.items()
    }


def _missing(raw: Mapping[str, Any]) -> dict[tuple[str, str, str], int]:
    """Since when what is missing is; older files do not say."""
    return {
        (source, source_symbol, symbol): int(row["missing_since_ms"])
        for source, rows in raw.items()
        for source_symbol, by_symbol in rows.items()
        for symbol, row in by_symbol.items()
        if row.get("missing_since_ms") is not None
    }


def _load_depths(path: Path) -> dict[str, dict[str, str]]:
    """Read the hint file; torn or missing, it is begun anew (A12: it decides nothing)."""
    try:
        raw = read_json(path)
    except (FileNotFoundError, ConfigError):
        return {}
    if not isinstance(raw, dict):
        return {}
    return {str(a): dict(rows) for a, rows in raw.items() if isinstance(rows, dict)}
