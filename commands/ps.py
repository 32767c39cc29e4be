"""`trade-engine ps`: the services, by PM2's word and their own. Starts nothing, PM2 neither."""

import json
import time
from typing import Annotated, Any

import typer

from commands.installation.pm2 import Pm2
from commands.installation.readiness import Standing, living_holder, standings
from commands.tables import print_table
from core.home import Home

EXAMPLE = "./trade-engine ps --json"


def command(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON list.")] = False,
) -> None:
    """Show the services under PM2."""
    home = Home.from_environment()
    pm2 = Pm2(home)
    rows = [_row(standing, home) for standing in standings(pm2, home, pm2.wanted())]
    if as_json:
        typer.echo(json.dumps(rows))
        return
    print_table(
        ("service", "state", "pid", "up", "restarts", "memory", "address"),
        (
            (
                row["name"],
                row["state"],
                str(row["pid"] or ""),
                _duration(row["uptime_s"]),
                str(row["restarts"]),
                f"{row['memory_bytes'] / 1e6:.0f} MB" if row["memory_bytes"] else "",
                row["url"] or "",
            )
            for row in rows
        ),
    )


def _row(standing: Standing, home: Home) -> dict[str, Any]:
    app, part = standing.app, standing.part
    holder = None if app is not None and app.is_running else living_holder(home, standing.name)
    state = standing.word
    if holder is not None:
        state = "orphan" if holder.orphan else "outside PM2"
    pid = holder.pid if holder is not None else app.pid if app is not None else 0
    is_alive = bool(pid) and part.get("pid") == pid
    return {
        "name": standing.name,
        "state": state,
        "pid": pid or None,
        "pm2_status": app.status if app is not None else None,
        "uptime_s": int(time.time() - part["started_at_ms"] / 1000) if is_alive else None,
        "restarts": app.restarts if app is not None else 0,
        "memory_bytes": app.memory_bytes if app is not None else 0,
        "url": part.get("url") if is_alive else None,
    }


def _duration(seconds: int | None) -> str:
    if seconds is None:
        return ""
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"
