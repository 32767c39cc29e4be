"""The real services under a real PM2: an alert becomes a position, and outlives PM2's daemon."""

import json
import urllib.request
from decimal import Decimal
from typing import Any

import pytest

from account_processors import venue_profiles
from tests.process.installation import NAMES, Installation, eventually, is_alive, ping

pytestmark = [pytest.mark.process, pytest.mark.timeout(180)]
LONG = {"symbol": "ETHUSDT", "direction": "long", "action": "buy", "size": "5.8/100"}
FLAT = {"symbol": "ETHUSDT", "direction": "flat", "action": "sell", "size": "Exit @ 3263.55"}


def send(url: str, alert: dict[str, str]) -> str:
    body = json.dumps(alert).encode()
    with urllib.request.urlopen(url, data=body, timeout=10) as answer:  # noqa: S310 - ours
        status: str = json.loads(answer.read())["status"]
        return status


def symbols(whole: Installation) -> list[dict[str, Any]]:
    accounts = whole.part("trade-engine")["accounts"]
    return [row for account in accounts for row in account["symbols"]]


def is_held(whole: Installation, *, wanted: bool) -> bool:
    rows = [row for row in symbols(whole) if row["symbol"] == "ETHUSDT" and row["verified"]]
    is_everywhere = len(rows) == len(venue_profiles())  # one target, every account
    return is_everywhere and all((Decimal(row["held_lots"]) > 0) is wanted for row in rows)


def test_an_alert_becomes_a_position_and_outlives_pm2_s_daemon(whole: Installation) -> None:
    before = whole.up()
    assert ping(before["monitor_url"]) == b'{"ping":"pong"}'
    assert ping(before["webhook_url"].partition("/webhook")[0]).startswith(b"{")
    assert send(before["webhook_url"], LONG) == "ok"
    eventually(lambda: is_held(whole, wanted=True))

    whole.kill_daemon()
    eventually(lambda: all(whole.part(name)["orphan"] for name in NAMES))
    after = whole.up()

    old = [row["pid"] for row in before["apps"].values()]
    assert [pid for pid in old if is_alive(pid)] == []
    assert {name: row["pid"] for name, row in after["apps"].items()} == whole.pids()
    assert send(after["webhook_url"], FLAT) == "ok"
    eventually(lambda: is_held(whole, wanted=False))
    assert whole.run("down").returncode == 0
    assert [pid for pid in whole.pids().values() if is_alive(pid)] == []


def test_c2_no_secret_reaches_logs_or_pm2(whole: Installation) -> None:
    document = whole.up()
    send(document["webhook_url"], LONG)
    listed = whole.pm2("jlist").stdout
    logs = "".join(path.read_text() for path in whole.home.logs.glob("*.log"))
    accounts = json.loads(whole.home.credentials.read_text())["accounts"]
    kept = [value for row in accounts for name, value in row.items() if name.startswith("api_")]

    assert logs
    for secret in (*kept, "token-of-a-test"):
        assert secret not in logs
        assert secret not in listed
