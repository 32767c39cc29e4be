"""`up`, `down` and their like against a real PM2 daemon; the services only live."""

import json
import os
import signal
import time
from pathlib import Path

import pytest

from tests.process.installation import NAMES, Installation, eventually, is_alive, ping

pytestmark = [pytest.mark.process, pytest.mark.timeout(180)]


def test_up_makes_everything_ready_and_down_ends_it(small: Installation) -> None:
    document = small.up()
    pids = {name: row["pid"] for name, row in document["apps"].items()}

    assert set(pids) == set(NAMES)
    assert pids == small.pids()
    assert document["home"] == str(small.home.root)
    assert document["webhook_url"].endswith("/webhook/token-of-a-test")
    assert ping(document["monitor_url"]) == b'{"ping":"pong"}'
    assert ping(document["paper_exchange_url"]) == b'{"ping":"pong"}'

    assert small.run("down").returncode == 0
    assert [pid for pid in pids.values() if is_alive(pid)] == []
    assert json.loads(small.run("ps", "--json").stdout)[0]["state"] == "absent"


def test_a_second_up_restarts_nothing_and_is_quick(small: Installation) -> None:
    first = small.up()
    begun = time.monotonic()
    second = small.up()

    assert second == first
    assert time.monotonic() - begun < 10


def test_up_restarts_what_loaded_older_code(small: Installation) -> None:
    first = small.up()
    later = time.time() + 1
    os.utime(small.checkout / "core" / "process" / "service.py", (later, later))
    time.sleep(1.1)
    second = small.up()

    assert [n for n in NAMES if first["apps"][n]["pid"] == second["apps"][n]["pid"]] == []


def test_up_drops_the_paper_exchange_when_nobody_needs_it(small: Installation) -> None:
    small.up()
    keys = json.loads(small.home.credentials.read_text())
    for row in keys["accounts"]:
        row["base_url"] = f"http://127.0.0.1:1/{row['exchange']}"
    small.home.credentials.write_text(json.dumps(keys))
    assert small.up()["paper_exchange_url"] is not None  # SN8 is simulated there
    keys["bittensor_sn8"]["endpoint"] = "http://127.0.0.1:1"
    small.home.credentials.write_text(json.dumps(keys))
    document = small.up()

    assert document["paper_exchange_url"] is None
    assert "paper-exchange" not in document["apps"]
    assert "paper-exchange" not in small.pm2("jlist").stdout


def test_a_killed_service_is_back_by_itself(small: Installation) -> None:
    killed = small.up()["apps"]["monitor"]["pid"]
    os.kill(killed, signal.SIGKILL)

    eventually(lambda: small.part("monitor")["pid"] != killed and small.part("monitor")["ready"])


def test_a25_services_outlive_pm2_s_daemon_and_the_next_up_takes_over(small: Installation) -> None:
    before = small.up()
    small.kill_daemon()
    eventually(lambda: all(small.part(name)["orphan"] for name in NAMES))
    old = {name: row["pid"] for name, row in before["apps"].items()}
    assert [pid for pid in old.values() if not is_alive(pid)] == []
    assert ping(before["monitor_url"]) == b'{"ping":"pong"}'
    states = {row["name"]: row["state"] for row in json.loads(small.run("ps", "--json").stdout)}
    assert states == dict.fromkeys(NAMES, "orphan")

    after = small.up()

    assert [pid for pid in old.values() if is_alive(pid)] == []
    assert {name: row["pid"] for name, row in after["apps"].items()} == small.pids()
    assert [name for name in NAMES if small.part(name)["orphan"]] == []


def test_down_ends_orphans_too(small: Installation) -> None:
    before = small.up()
    small.kill_daemon()
    eventually(lambda: all(small.part(name)["orphan"] for name in NAMES))
    done = small.run("down")

    assert done.returncode == 0
    assert [row["pid"] for row in before["apps"].values() if is_alive(row["pid"])] == []


def test_another_s_app_of_our_name_is_refused_and_left_alone(
    small: Installation, short_folder: Path
) -> None:
    (short_folder / "other").mkdir()
    script = short_folder / "other" / "execute_trades.py"
    script.write_text("import time\ntime.sleep(600)\n")
    python = str(small.checkout / ".venv" / "bin" / "python")
    cwd = ("--cwd", str(script.parent))
    small.pm2("start", str(script), "--name", "trade-engine", "--interpreter", python, *cwd)

    refused = small.run("up")

    assert refused.returncode == 4
    assert "trade-engine" in refused.stderr
    assert str(script.parent) in refused.stderr
    assert "set PM2_HOME" in refused.stderr
    assert not small.home.credentials.exists()
    assert json.loads(small.pm2("jlist").stdout)[0]["pm2_env"]["status"] == "online"


def test_our_script_in_another_folder_or_home_is_another_s_app(small: Installation) -> None:
    small.up()
    elsewhere = small.run("up", TRADE_ENGINE_HOME=str(small.checkout))
    assert (elsewhere.returncode, "set PM2_HOME" in elsewhere.stderr) == (4, True)
    small.pm2("delete", "monitor")
    script = str(small.checkout / "monitor" / "app.py")
    python = ("--interpreter", str(small.checkout / ".venv" / "bin" / "python"))
    small.pm2("start", script, "--name", "monitor", *python, "--cwd", str(small.home.root))

    refused = small.run("up")

    assert refused.returncode == 4
    assert f"runs monitor (pid {small.pids()['monitor']})" in refused.stderr


def test_a_pm2_home_that_would_hang_is_refused(small: Installation) -> None:
    refused = small.run("up", PM2_HOME="/tmp/" + "x" * 100)  # noqa: S108

    assert refused.returncode == 4
    assert "PM2_HOME" in refused.stderr


def test_a_service_that_refuses_its_configuration_is_told_with_78(small: Installation) -> None:
    entry = small.checkout / "monitor" / "app.py"
    body = "    from core.errors import ConfigError\n    raise ConfigError('leverage was 50')\n"
    entry.write_text(entry.read_text().replace("    server = await", body + "    server = await"))
    refused = small.run("up")

    assert refused.returncode == 78
    assert "monitor stopped: leverage was 50" in refused.stderr


def test_a_bare_pm2_start_gives_the_same_apps_and_no_secret(small: Installation) -> None:
    small.up()
    small.run("down")
    ecosystem = str(small.checkout / "ecosystem.config.js")
    started = small.pm2("start", ecosystem, SOME_SECRET="planted-by-the-caller")
    assert started.returncode == 0, started.stderr
    eventually(lambda: small.part("monitor")["ready"])
    rows = json.loads(small.pm2("jlist").stdout.splitlines()[-1])

    assert {row["name"] for row in rows} == set(NAMES)
    assert small.up()["apps"]["monitor"]["pid"] == small.part("monitor")["pid"]
    secret = json.loads(small.home.credentials.read_text())["accounts"][0]["api_secret"]
    assert secret not in json.dumps(rows)
    assert "planted-by-the-caller" not in json.dumps(rows)
    assert rows[0]["pm2_env"]["PYTHONDONTWRITEBYTECODE"] == ""


def test_restart_gives_a_new_process_and_logs_tell_of_it(small: Installation) -> None:
    before = small.up()["apps"]["monitor"]["pid"]
    restarted = small.run("restart", "monitor")
    told = small.run("logs", "monitor", "--no-follow", "--lines", "1")

    assert restarted.returncode == 0, restarted.stderr
    assert small.part("monitor")["pid"] != before
    assert " monitor " in told.stdout
    assert "ready" in told.stdout
    assert small.run("restart", "nobody").returncode == 2
