"""What a person should look at beyond what the engine itself says: services, crashes, problems."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from core.status.parts import ENGINE, ServicePart, StatusParts

EXPECTED: Final = (ENGINE, "tradingview-endpoint", "monitor")
STUCK_AFTER_MS: Final = 30_000
"""Six heartbeats: a live process that says nothing for so long does not run its loop."""
CRASH_TOLD_MS: Final = 24 * 3_600_000


def service_state(part: ServicePart, now_ms: int) -> str:
    """Put a service's state in one word."""
    if part.exception is not None:
        return "crashed"
    if not part.is_alive:
        return "stopped" if part.is_stopped else "dead"
    if now_ms - (part.at_ms("refreshed_at_ms") or 0) > STUCK_AFTER_MS:
        return "stuck"
    if part.said.get("stopping") is True:
        return "stopping"
    return "running" if part.said.get("ready") is True else "starting"


def service_alerts(parts: StatusParts, now_ms: int) -> list[dict[str, Any]]:
    """List the alerts that no service can raise about itself; one a key."""
    found = [alert for name in EXPECTED if name not in parts.services for alert in _absent(name)]
    for part in parts.services.values():
        found.extend(_of_service(part, now_ms))
        found.extend(_problems(part))
    if parts.control.problem:
        found.append(_alert("control", "error", parts.control.problem, None))
    return list({alert["key"]: alert for alert in found}.values())


def _absent(name: str) -> Iterator[dict[str, Any]]:
    severity = "error" if name == ENGINE else "warning"
    yield _alert(f"service/{name}", severity, f"{name} never ran here: ./trade-engine up", None)


def _of_service(part: ServicePart, now_ms: int) -> Iterator[dict[str, Any]]:
    state, name, since_ms = service_state(part, now_ms), part.name, part.at_ms("refreshed_at_ms")
    severity = "error" if name == ENGINE else "warning"
    cure = "./trade-engine up" if state in ("stopped", "dead") else f"./trade-engine logs {name}"
    if part.exception is not None:
        text = f"{name} crashed: {part.exception.message}; see {cure}"
        yield _alert(f"service/{name}", "error", text, part.exception.at_ms)
    elif state in ("stopped", "dead", "stuck"):
        yield _alert(f"service/{name}", severity, f"{name} is {state}: {cure}", since_ms)
    if part.said.get("orphan") is True and part.is_alive:
        text = f"{name} works on without PM2, whose daemon died: ./trade-engine up takes it over"
        yield _alert(f"orphan/{name}", "warning", text, since_ms)
    crash = part.last_crash
    if crash is None or crash.at_ms is None or part.exception is not None:
        return
    if now_ms - crash.at_ms < CRASH_TOLD_MS:
        text = f"{name} crashed and was started again: {crash.message}"
        yield _alert(f"crash/{name}", "warning", text, crash.at_ms)


def _problems(part: ServicePart) -> Iterator[dict[str, Any]]:
    """Tell each configuration problem once, whichever service saw it."""
    problems = part.said.get("problems")
    if not part.is_alive or not isinstance(problems, list):
        return
    for problem in problems:
        if isinstance(problem, Mapping):
            file, key = str(problem.get("file", "")), str(problem.get("key", ""))
            where = f"{file}: {key}" if key else file
            text = f"{problem.get('text', '')} ({where}); {problem.get('remedy', '')}"
            severity = str(problem.get("severity", "error"))
            yield _alert(f"config/{file}/{key}", severity, text, None)
        else:
            yield _alert(f"config/{problem}", "error", str(problem), None)


def _alert(key: str, severity: str, text: str, since_ms: int | None) -> dict[str, Any]:
    return {
        "key": key,
        "severity": severity,
        "text": text,
        "since_ms": since_ms,
        "account": "",
        "symbol": "",
        "count": 1,
    }
