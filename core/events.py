"""What happened, and what a person should look at now.

Events go to `state/events-YYYY-MM-DD.jsonl`; an alert is a condition that stands until it is
cleared. Both are read by the monitor, the commands and the notifier. Nothing here waits for a disk:
an event that cannot be stored is logged, and trading goes on.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from core.intents import RowLog
from core.ports import Clock

log = logging.getLogger(__name__)

Severity = Literal["info", "warning", "error"]
_LEVELS: Mapping[str, int] = {
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """A condition that stands since `since_ms`, seen `count` times."""

    key: str
    severity: Severity
    text: str
    since_ms: int
    account: str = ""
    symbol: str = ""
    count: int = 1


class Events:
    """Writes events and keeps the alerts that stand."""

    def __init__(self, store: RowLog, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._alerts: dict[str, Alert] = {}
        self._writing: set[asyncio.Task[None]] = set()

    def emit(
        self,
        code: str,
        text: str,
        *,
        severity: Severity = "info",
        account: str = "",
        symbol: str = "",
        **fields: Any,  # noqa: ANN401 # any JSON value
    ) -> None:
        """Log and store one event."""
        row = {
            "at_ms": self._clock.now_ms(),
            "code": code,
            "severity": severity,
            "text": text,
            "account": account,
            "symbol": symbol,
            **fields,
        }
        log.log(_LEVELS[severity], text, extra={"code": code, "account": account, "symbol": symbol})
        task = asyncio.ensure_future(self._write(row))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    def alert(
        self,
        key: str,
        text: str,
        *,
        severity: Severity = "warning",
        account: str = "",
        symbol: str = "",
    ) -> None:
        """Raise an alert, or count one more sight of it; the event is written once."""
        standing = self._alerts.get(key)
        if standing is not None and standing.severity == severity:
            self._alerts[key] = replace(standing, text=text, count=standing.count + 1)
            return
        self._alerts[key] = Alert(
            key=key,
            severity=severity,
            text=text,
            since_ms=self._clock.now_ms(),
            account=account,
            symbol=symbol,
        )
        self.emit(key, text, severity=severity, account=account, symbol=symbol)

    def clear(self, key: str) -> None:
        """End an alert, if it stands."""
        gone = self._alerts.pop(key, None)
        if gone is not None:
            self.emit(f"{key}:over", f"over: {gone.text}", account=gone.account, symbol=gone.symbol)

    def standing(self) -> tuple[Alert, ...]:
        """All alerts that stand, oldest first."""
        return tuple(sorted(self._alerts.values(), key=lambda a: a.since_ms))

    async def drain(self) -> None:
        """Wait until everything emitted so far is stored or given up."""
        while self._writing:
            await asyncio.gather(*self._writing)

    async def _write(self, row: Mapping[str, Any]) -> None:
        try:
            await self._store.commit([row])
        except OSError as error:
            log.warning("event not stored: %s", error, extra={"code": "event_lost"})
