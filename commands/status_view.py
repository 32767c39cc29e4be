"""The status document as a person reads it on a terminal."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from rich.console import Console
from rich.markup import escape

from commands.tables import plain, print_table

SERVICES: Final = ("service", "state", "pid", "address")
ACCOUNTS: Final = ("account", "exchange", "environment", "state", "equity USDT", "reason")
SYMBOLS: Final = ("account", "symbol", "held lots", "target lots", "verified", "reason")
CONTROLS: Final = ("safety control", "where", "limit", "now", "state")
COLOURS: Final = {"error": "red", "warning": "yellow", "info": "default"}


def show(document: Mapping[str, Any], now_ms: int) -> None:
    """Print the document, what needs a person last."""
    console = Console(highlight=False, soft_wrap=True)
    for line in _head(document, now_ms):
        console.print(line)
    for titles, rows in (
        (SERVICES, _services(document["services"])),
        (ACCOUNTS, _accounts(document["accounts"])),
        (SYMBOLS, _symbols(document["accounts"])),
        (CONTROLS, _controls(document["controls"])),
    ):
        if rows:
            print_table(titles, rows)
            console.print()
    for line in _quiet_controls(document["controls"]):
        console.print(line)
    for alert in document["alerts"]:
        console.print(_alert(alert))
    if not document["alerts"]:
        console.print("No alerts.")


def _head(document: Mapping[str, Any], now_ms: int) -> Iterator[str]:
    state = "[green]running[/]" if document["executor_running"] else "[red]not running[/]"
    mode = document["mode"] or "unknown"
    yield f"Engine    {state}, mode {mode}, version {document['version'] or 'unknown'}"
    if document["completed_at"] is not None:
        age_s = now_ms / 1000 - document["completed_at"]
        yield f"Cycles    {document['cycles']}, the last completed {_age(age_s)} ago"
    if document["halted"] is not None:
        yield f"[red]HALTED[/]    {escape(plain(document['halted']['reason']))}"
    ages = document["signal_age_s"].items()
    if ages:
        told = (f"{source} {'never' if age is None else _age(age)}" for source, age in ages)
        yield f"Signals   newest of {', '.join(told)}"
    yield ""


def _services(services: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    return [
        [
            name,
            f"{row['state']} (orphan)" if row["orphan"] else row["state"],
            _text(row["pid"]),
            _text(row["url"]),
        ]
        for name, row in services.items()
    ]


def _accounts(accounts: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    keys = ("name", "exchange", "environment", "state", "equity_usdt", "reason")
    rows = [[_text(account.get(key)) for key in keys] for account in accounts]
    for row, account in zip(rows, accounts, strict=True):
        if _may_be_real(account) and account.get("armed") is not True:
            row[2] = f"{row[2]} (dry-run)"
    return rows


def _symbols(accounts: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    return [
        [
            _text(account.get("name")),
            _text(row.get("symbol")),
            _text(row.get("held_lots"), unknown="?"),
            _text(row.get("target_lots")),
            "yes" if row.get("verified") else "no",
            _text(row.get("hold") or row.get("reason")),
        ]
        for account in accounts
        for row in account.get("symbols") or ()
    ]


def _controls(controls: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Give the controls that hold something back first, then those near their limit."""
    order = {"in force": 0, "near": 1, "unknown": 2}
    rows = [row for row in controls if row["state"] in order]
    rows.sort(key=lambda row: order[row["state"]])
    return [[row[key] for key in ("control", "where", "limit", "now", "state")] for row in rows]


def _quiet_controls(controls: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Name the controls that hold nothing back, each with its limit, and those that are off."""
    ready: dict[str, str] = {}
    off: dict[str, None] = {}
    for row in controls:
        if row["state"] == "ready":
            ready[f"{row['control']} ({row['limit']})"] = ""
        elif row["state"] == "off":
            off[row["control"]] = None
    if ready:
        yield f"Controls that are ready: {escape('; '.join(ready))}"
    if off:
        yield f"Controls that are off (engine_config.json): {escape(', '.join(off))}"
    yield ""


def _may_be_real(account: Mapping[str, Any]) -> bool:
    """Tell whether its orders may move real money; an older engine does not say."""
    return bool(account.get("needs_arming", account.get("environment") == "live"))


def _alert(alert: Mapping[str, Any]) -> str:
    severity = str(alert.get("severity"))
    where = " ".join(filter(None, (alert.get("account"), alert.get("symbol"))))
    text = f"{where}: {alert.get('text')}" if where else str(alert.get("text"))
    return f"[{COLOURS.get(severity, 'default')}]{severity:<8}[/] {escape(plain(text))}"


def _text(value: object, *, unknown: str = "") -> str:
    return unknown if value is None else str(value)


def _age(seconds: float) -> str:
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"
