"""What a person is told of the processes themselves: starts, stops, crashes, standing problems.

Pure: what all services last said in, news out. A dead engine writes no events; this is how one
learns of it all the same.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from core.settings.engine import NewsKind
from core.status.alerts import service_alerts
from core.status.parts import StatusParts
from monitor.notifier.news import News, harmless

GRACE_MS: Final = 30_000
"""A problem must stand so long before it is told: a restart takes a few seconds."""

SEVERITY_AND_TIME: Final = re.compile(r"/(?:error|warning)(?:/\w+)?$")


class ServiceWatch:
    """Compares what is with what was last told."""

    def __init__(self, remembered: object = None) -> None:
        row = remembered if isinstance(remembered, Mapping) else {}
        started, told, stopped = row.get("started"), row.get("told"), row.get("stopped")
        # None = nothing is known of before: what runs now is no news
        self._started = dict(started) if isinstance(started, Mapping) else None
        self._told: dict[str, str] = dict(told) if isinstance(told, Mapping) else {}
        self._stopped = set(stopped) if isinstance(stopped, list) else set()
        self._seen_since_ms: dict[str, int] = {}

    def look(self, parts: StatusParts, now_ms: int) -> list[News]:
        """Give what changed since the last look."""
        return [*self._lives(parts, now_ms), *self._problems(parts, now_ms)]

    def to_row(self) -> dict[str, Any]:
        """Give its JSON object."""
        return {
            "started": self._started,
            "told": self._told,
            "stopped": sorted(self._stopped),
        }

    def _lives(self, parts: StatusParts, now_ms: int) -> Iterator[News]:
        known = self._started
        self._started = {name: part.at_ms("started_at_ms") for name, part in parts.services.items()}
        stopped = {
            name for name, part in parts.services.items() if part.is_stopped and not part.is_alive
        }
        for name, at_ms in self._started.items():
            if known is None or name in stopped or known.get(name) == at_ms:
                continue
            version = parts.services[name].said.get("version")
            yield _service_news("started", f"{name} started, version {version}", name, now_ms)
        if known is not None:
            for name in sorted(stopped - self._stopped):
                yield _service_news("stopped", f"{name} stopped", name, now_ms)
        self._stopped = stopped

    def _problems(self, parts: StatusParts, now_ms: int) -> Iterator[News]:
        standing = {_identity(alert): alert for alert in service_alerts(parts, now_ms)}
        self._seen_since_ms = {mark: self._seen_since_ms.get(mark, now_ms) for mark in standing}
        for mark, alert in standing.items():
            is_sure = _is_crash(alert) or now_ms - self._seen_since_ms[mark] >= GRACE_MS
            if mark not in self._told and is_sure:
                text = self._told[mark] = harmless(str(alert["text"]))
                kind: NewsKind = "error" if alert["severity"] == "error" else "alert"
                yield News(kind=kind, at_ms=now_ms, text=text, key=str(alert["key"]))
        for mark in [mark for mark in self._told if mark not in standing]:
            text = self._told.pop(mark)
            if not mark.startswith("crash/"):  # that ends by being a day old
                yield News(kind="alert", at_ms=now_ms, text=f"over: {text}", key=_key_of(mark))


def _service_news(what: str, text: str, name: str, now_ms: int) -> News:
    return News(kind="service", at_ms=now_ms, text=harmless(text), key=f"{what}/{name}")


def _is_crash(alert: Mapping[str, Any]) -> bool:
    return str(alert["key"]).startswith("crash/") or " crashed: " in str(alert["text"])


def _key_of(mark: str) -> str:
    """Give the key of the alert whose mark this is: its end is told in the same pauses."""
    return SEVERITY_AND_TIME.sub("", mark)


def _identity(alert: Mapping[str, Any]) -> str:
    mark = f"{alert['key']}/{alert['severity']}"
    return f"{mark}/{alert['since_ms']}" if _is_crash(alert) else mark
