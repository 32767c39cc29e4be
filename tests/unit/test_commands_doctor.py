"""The doctor's findings, and a bundle that holds no secret of the home."""

import json
import os
import socket
import tarfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
import pytest

from commands.braking import now_ms
from commands.diagnosis.looks import LOOKS_SECRET
from commands.diagnosis.redaction import masked
from commands.main import run
from core.home import Home
from core.journal import Journal
from core.process.service_status import replace_status
from core.store import atomic_write_bytes, atomic_write_json

Capture = pytest.CaptureFixture[str]

KEYS = {
    "api_key": "AKIA-key-of-main-0123456789",
    "api_secret": 'secret"with\\quotes/and+slashes==',
    "api_passphrase": "pass-phrase-77",
}
SN8_KEY = "sn8-key-0123456789"
ENDPOINT = "https://validator.example/path/with-secret-abcdefgh"
TOKEN = "webhook-token-abcdefghijkl"
OLD_SECRET = "the-secret-before-this-one"
CHANNEL = "tgram://123456789:AAbot-token-secret/998877665"
SECRETS = [*KEYS.values(), SN8_KEY, ENDPOINT, TOKEN, OLD_SECRET, CHANNEL, "AAbot-token-secret"]


def credentials(**changes: str) -> dict[str, Any]:
    account = {"name": "main", "exchange": "bybit", "environment": "live", **KEYS, **changes}
    return {
        "bittensor_sn8": {"api_key": SN8_KEY, "endpoint": ENDPOINT},
        "accounts": [account],
    }


@pytest.fixture(autouse=True)
def own_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test masks must not be masked in the next."""
    monkeypatch.setattr("core.process.logs._secrets", set())
    monkeypatch.setattr("commands.diagnosis.redaction._short", set())


@pytest.fixture
def full(home: Home) -> Home:
    """A home that was used, with its secrets where they do not belong."""
    atomic_write_json(home.credentials, credentials())
    atomic_write_json(home.last_good / "credentials.json", credentials(api_secret=OLD_SECRET))
    notifications = {"channels": [{"name": "phone", "url": CHANNEL}]}
    config = {"webhook": {"token": TOKEN}, "notifications": notifications}
    atomic_write_json(home.engine_config, config)
    leak = " ".join(SECRETS)
    row = {"at_ms": now_ms(), "code": "x", "text": leak, "severity": "error"}
    for prefix in ("events-", "orders-"):
        Journal(home.state, prefix).append_lines(orjson.dumps(row) + b"\n", at_ms=now_ms())
    log = f"POST /webhook/{TOKEN} {leak} {quote(KEYS['api_secret'], safe='')} {json.dumps(leak)}\n"
    (home.logs / "trade-engine.err.log").write_text(log * 3)
    replace_status(home, "trade-engine", {"pid": 1, "exception": {"type": "E", "message": leak}})
    return home


def unpacked(path: Path) -> dict[str, str]:
    with tarfile.open(path) as archive:
        found = {}
        for entry in archive.getmembers():
            file = archive.extractfile(entry)
            assert file is not None
            found[entry.name.partition("/")[2]] = file.read().decode()
        return found


def examined(capsys: Capture) -> tuple[int, dict[tuple[str, str], dict[str, str]]]:
    capsys.readouterr()
    code = run(["doctor", "--json"])
    rows = orjson.loads(capsys.readouterr().out)["findings"]
    return code, {(row["where"], row["what"]): row for row in rows}


@pytest.mark.parametrize("is_broken", [False, True], ids=["valid", "broken-credentials"])
def test_no_secret_of_the_home_is_in_the_bundle(
    full: Home, tmp_path: Path, capsys: Capture, is_broken: bool
) -> None:
    if is_broken:
        atomic_write_bytes(full.credentials, full.credentials.read_bytes()[:-2])
    bundle = tmp_path / "bundle.tar.gz"
    run(["doctor", "--bundle", str(bundle)])
    told = capsys.readouterr()
    files = unpacked(bundle)
    everything = told.out + told.err + json.dumps(files) + "".join(files.values())
    forms = {form for secret in SECRETS for form in (secret, quote(secret, safe=""))}

    assert [form for form in forms if form in everything] == []
    assert bundle.stat().st_mode & 0o777 == 0o600


@pytest.mark.usefixtures("full")
def test_the_bundle_holds_what_a_helper_needs(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.tar.gz"
    run(["doctor", "--bundle", str(bundle)])
    files = unpacked(bundle)
    account = json.loads(files["config/credentials.json"])["accounts"][0]

    assert account["name"] == "main"
    assert account["exchange"] == "bybit"
    assert account["api_secret"] == "***"
    assert json.loads(files["config/engine_config.json"])["webhook"]["token"] == "***"
    assert {"versions.json", "status.json", "findings.json", "files.txt"} <= set(files)
    assert any(name.startswith("state/events-") for name in files)
    assert any(name.startswith("state/orders-") for name in files)
    assert "POST /webhook/***" in files["logs/trade-engine.err.log"]
    assert "credentials.json" in files["files.txt"]


@pytest.mark.usefixtures("full")
def test_a_bundle_overwrites_nothing(tmp_path: Path) -> None:
    there = tmp_path / "there.tar.gz"
    there.write_text("mine")

    assert run(["doctor", "--bundle", str(there)]) == 2
    assert there.read_text() == "mine"


@pytest.mark.parametrize(
    "text",
    [
        '{"api_secret": "abc"}',
        "apiKey=abc&x=1",
        "X-BAPI-SIGNATURE: abc",
        'password = "abc"',
        "discord://abc/abc",
        "OK-ACCESS-PASSPHRASE: abc",
    ],
)
def test_what_looks_secret_is_masked_whosever_it_is(text: str) -> None:
    assert "abc" not in masked(text)


def test_words_that_only_sound_secret_are_left() -> None:
    text = "the api_secret is missing; signed +0.5 of +0.5 lots"

    assert masked(text) == text
    assert LOOKS_SECRET.search(text) is None


def test_a_sound_home_is_all_ok(home: Home, capsys: Capture) -> None:
    atomic_write_json(home.credentials, {"accounts": []})
    atomic_write_json(home.asset_mapping, {})
    atomic_write_json(home.signal_weights, [])
    code = run(["doctor"])

    assert code == 0
    assert capsys.readouterr().out.strip().splitlines()[-1].startswith("All ok")


def test_a_crash_and_a_broken_file_fail_and_are_named(full: Home, capsys: Capture) -> None:
    atomic_write_bytes(full.signal_weights, b"[")
    code, found = examined(capsys)

    assert code == 3
    assert found["services", "trade-engine"]["state"] == "FAIL"
    assert "signal_weight_config.json" in found["files", "configuration"]["detail"]


def test_a_secret_that_others_can_read_is_told(full: Home, capsys: Capture) -> None:
    (full.last_good / "credentials.json").chmod(0o644)
    _, found = examined(capsys)

    assert found["files", "modes"]["state"] == "warn"
    assert "chmod 600" in found["files", "modes"]["detail"]


def test_a_stranger_on_our_port_is_told(home: Home, capsys: Capture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        part = {"pid": 1, "url": url, "stopped_at_ms": 1}
        replace_status(home, "monitor", part)
        _, found = examined(capsys)

    assert "somebody else listens" in found["services", "port of monitor"]["detail"]
    assert found["services", "monitor"]["state"] == "ok"


def test_a_process_that_ended_without_a_word_is_told(home: Home, capsys: Capture) -> None:
    replace_status(home, "trade-engine", {"pid": 1, "started_at_ms": 1})
    code, found = examined(capsys)

    assert code == 3
    assert "killed, power cut" in found["services", "trade-engine"]["detail"]


def test_a_file_from_the_future_is_told(home: Home, capsys: Capture) -> None:
    atomic_write_json(home.state / "targets.json", {})
    ahead_s = now_ms() / 1000 + 3600
    os.utime(home.state / "targets.json", (ahead_s, ahead_s))
    _, found = examined(capsys)

    assert found["clock", "this host"]["state"] == "warn"
