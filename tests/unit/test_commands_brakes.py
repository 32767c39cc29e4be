"""pause, resume, halt, flatten, arm, disarm: what they write, refuse, ask and say."""

import errno
import os
import socket
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
import typer

from commands import braking
from commands.main import run
from core.control import EVERYTHING, FREE, Scope
from core.control.file import control_path, halt_path, read_control
from core.home import HOME_VARIABLE, Home
from core.model import Mode
from core.nudge import nudge_path
from core.process.lease import lock_now
from core.process.service_status import replace_status
from core.settings import load_settings

BTC = Scope(symbol="BTCUSDT")
AT_ONCE = ("--wait", "0")
UNSEEN = 5  # nobody can tell whether it is flat
ENVIRONMENTS = {"paper-a": "paper", "live-a": "live", "demo-a": "demo"}


def account(name: str) -> dict[str, object]:
    return {
        "name": name,
        "exchange": "bybit",
        "api_key": f"key-of-{name}",
        "api_secret": f"word-of-{name}",
        "environment": ENVIRONMENTS[name],
        "base_url": "http://127.0.0.1:9",  # nobody listens: what is held there is unknown
    }


def configure(home: Home, *names: str) -> None:
    home.credentials.write_bytes(orjson.dumps({"accounts": [account(name) for name in names]}))
    home.credentials.chmod(0o600)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path))
    made = Home(tmp_path)
    made.make_folders()
    configure(made, "paper-a")
    made.asset_mapping.write_bytes(b'{"tradingview": {"BTCUSDT.P": "BTCUSDT"}}')
    made.signal_weights.write_bytes(
        b'[{"symbol": "ETHUSDT", "leverage": 1, "sources": [{"source": "x", "weight": 1}]}]'
    )
    return made


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Somebody sits there and types."""

    def types(text: str) -> None:
        monkeypatch.setattr("sys.stdin.isatty", lambda: True)
        monkeypatch.setattr(typer, "prompt", lambda *_args, **_kwargs: text)

    return types


def mode(home: Home, account_name: str = "paper-a", symbol: str = "BTCUSDT") -> Mode:
    return read_control(home).mode_for(account_name, symbol, now_ms=1)[0]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("pause", Mode.PAUSE), ("halt", Mode.HALT)],
)
def test_a_brake_holds_for_everything_and_resume_lifts_it(
    home: Home, capsys: pytest.CaptureFixture[str], name: str, expected: Mode
) -> None:
    assert run([name, "--why", "news"]) == 0
    found = read_control(home).mode_of(EVERYTHING)
    assert found is not None
    assert (found.mode, found.why) == (expected, "news")
    assert "(command line)" in found.who
    said = capsys.readouterr()
    assert "./trade-engine resume" in said.out
    assert "not running" in said.err
    assert run(["resume"]) == 0

    assert mode(home) is Mode.RUN


@pytest.mark.parametrize(
    ("arguments", "scope"),
    [
        (["btcusdt"], BTC),
        (["ETHUSDT"], Scope(symbol="ETHUSDT")),
        (["--account", "paper-a"], Scope(account="paper-a")),
        (["BTCUSDT", "--account", "paper-a"], Scope(account="paper-a", symbol="BTCUSDT")),
    ],
)
def test_a_brake_can_be_for_one_symbol_or_account(
    home: Home, capsys: pytest.CaptureFixture[str], arguments: list[str], scope: Scope
) -> None:
    assert run(["pause", *arguments]) == 0

    assert [row.scope for row in read_control(home).entries] == [scope]
    assert f"Undo: {braking.command_for('resume', scope)}" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["BTCUSD"], ["--account", "paper"]])
def test_a_mistyped_brake_is_refused_with_the_names_there_are(
    home: Home, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert run(["halt", *arguments]) == 4

    assert read_control(home).entries == ()
    said = capsys.readouterr().err
    assert "paper-a" in said or "BTCUSDT, ETHUSDT" in said


def test_a_symbol_that_only_the_engine_knows_may_be_braked(home: Home) -> None:
    rows = [{"name": "paper-a", "symbols": [{"symbol": "OLDUSDT"}]}]
    replace_status(home, "trade-engine", {"accounts": rows})

    assert run(["pause", "OLDUSDT"]) == 0
    assert run(["pause", "OLD2USDT"]) == 4
    assert run(["pause", "OLD2USDT", "--yes"]) == 0


def test_a_brake_needs_no_valid_configuration(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    home.signal_weights.write_bytes(b"[{")

    assert run(["halt", "ANYUSDT", "--account", "any"]) == 0
    assert mode(home, "any", "ANYUSDT") is Mode.HALT
    assert "signal_weight_config.json" in capsys.readouterr().err


def test_the_engine_is_knocked_up_and_a_running_one_is_not_missed(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    now_ms = braking.now_ms()
    part = {"pid": os.getpid(), "refreshed_at_ms": now_ms, "ready": True}
    replace_status(home, "trade-engine", part)
    with (
        lock_now(home.state / "trade-engine.lock", "x"),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver,
    ):
        nudge_path(home).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        receiver.bind(str(nudge_path(home)))
        receiver.setblocking(False)
        assert run(["pause"]) == 0
        assert receiver.recv(1) == b""
    nudge_path(home).unlink()

    assert capsys.readouterr().err == ""


def test_a_full_disk_says_how_to_stop_all_the_same(
    home: Home, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("core.control.file.atomic_write_json", full)

    assert run(["halt"]) == 1
    assert f"touch {halt_path(home)}" in capsys.readouterr().err


def test_a_flatten_under_the_halt_file_is_refused(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    halt_path(home).touch()

    assert run(["flatten", "--yes"]) == 4
    assert not control_path(home).exists()
    assert "remove state/HALT" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["live-a", "demo-a"])
def test_a_flatten_of_more_than_paper_asks(
    home: Home, terminal: Callable[[str], None], name: str
) -> None:
    configure(home, "paper-a", name)

    assert run(["flatten"]) == 4  # nobody to ask
    assert run(["flatten", "--account", "paper-a", *AT_ONCE]) == UNSEEN
    terminal("no")
    assert run(["flatten", "--account", name]) == 4
    assert mode(home, name) is Mode.RUN
    terminal("flatten")
    assert run(["flatten", "--account", name, *AT_ONCE]) == UNSEEN
    assert mode(home, name) is Mode.FLATTEN
    assert run(["flatten", "--yes", *AT_ONCE]) == UNSEEN


def test_a_flatten_of_paper_beside_a_disabled_live_account_asks_nothing(home: Home) -> None:
    disabled = {**account("live-a"), "enabled": False}
    home.credentials.write_bytes(orjson.dumps({"accounts": [account("paper-a"), disabled]}))

    assert run(["flatten", *AT_ONCE]) == UNSEEN


def test_a_flatten_with_broken_settings_asks(home: Home) -> None:
    home.credentials.write_bytes(b"{")

    assert run(["flatten"]) == 4
    assert run(["flatten", "--yes", *AT_ONCE]) == UNSEEN


def test_a_halt_says_which_flatten_goes_on(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["flatten", "BTCUSDT", *AT_ONCE]) == UNSEEN
    capsys.readouterr()
    assert run(["halt", "ETHUSDT"]) == 0
    assert "flatten" not in capsys.readouterr().err
    assert run(["halt"]) == 0

    assert mode(home) is Mode.FLATTEN
    said = capsys.readouterr().err
    assert "resume BTCUSDT" in said
    assert str(halt_path(home)) in said


def test_a_resume_says_what_still_holds(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    symbols = [
        {"symbol": "BTCUSDT", "hold": "liquidated"},
        {"symbol": "ETHUSDT", "hold": "closed by hand"},
    ]
    replace_status(home, "trade-engine", {"accounts": [{"name": "paper-a", "symbols": symbols}]})
    halt_path(home).touch()
    run(["pause", "ETHUSDT", "--account", "paper-a"])
    run(["halt"])
    capsys.readouterr()
    assert run(["resume", "BTCUSDT"]) == 0
    said = capsys.readouterr().out

    assert f"rm {halt_path(home)}" in said
    assert "halt of everything" in said
    assert "Lift: ./trade-engine resume ETHUSDT --account paper-a" in said
    assert "closed by hand" in said
    assert "Lifted: hold of BTCUSDT on paper-a: liquidated" in said
    assert said.count("liquidated") == 1
    assert read_control(home).resumed_at_ms("paper-a", "BTCUSDT") is not None


def armed(home: Home, name: str) -> bool:
    found = load_settings(home).account(name)
    assert found is not None
    return read_control(home).is_armed(found)


def test_a_live_account_is_armed_by_typing_its_name(
    home: Home, terminal: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    configure(home, "live-a")
    assert run(["arm", "live-a"]) == 4
    terminal("live")
    assert run(["arm", "live-a"]) == 4
    assert not armed(home, "live-a")
    terminal("live-a")
    assert run(["arm", "live-a"]) == 0
    assert armed(home, "live-a")
    assert "disarm live-a" in capsys.readouterr().out
    assert run(["disarm", "live-a"]) == 0

    assert not armed(home, "live-a")
    assert "nothing closes them" in capsys.readouterr().out


def test_arming_lasts_as_long_as_the_key(home: Home) -> None:
    configure(home, "live-a")
    assert run(["arm", "live-a", "--yes"]) == 0
    changed = {**account("live-a"), "api_key": "another"}
    home.credentials.write_bytes(orjson.dumps({"accounts": [changed]}))

    assert not armed(home, "live-a")


def test_only_live_accounts_are_armed(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["arm", "paper-a"]) == 0

    assert "needs no arming" in capsys.readouterr().out
    assert not control_path(home).exists()


def test_an_account_that_is_not_there_or_has_no_key_is_not_armed(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = {**account("live-a"), "api_key": ""}
    home.credentials.write_bytes(orjson.dumps({"accounts": [empty]}))

    assert run(["arm", "nobody", "--yes"]) == 4
    assert run(["arm", "live-a", "--yes"]) == 4
    said = capsys.readouterr().err
    assert "there are: live-a" in said
    assert "no API key" in said


def test_a_disabled_account_is_armed_with_a_warning(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    disabled = {**account("live-a"), "enabled": False}
    home.credentials.write_bytes(orjson.dumps({"accounts": [disabled]}))

    assert run(["arm", "live-a", "--yes"]) == 0
    assert "disabled" in capsys.readouterr().err


def test_a_disarm_needs_nothing_but_the_control_file(home: Home) -> None:
    configure(home, "live-a")
    assert run(["disarm", "live-a"]) == 4
    assert run(["arm", "live-a", "--yes"]) == 0
    home.credentials.write_bytes(b"{")
    assert run(["disarm", "live-a"]) == 0
    assert read_control(home).armed == {}
    control_path(home).write_bytes(b"{")
    assert run(["disarm", "live-a"]) == 0

    assert read_control(home).mode_for("live-a", now_ms=1) != FREE


def test_broken_settings_arm_nothing(home: Home) -> None:
    home.credentials.write_bytes(b"{")

    assert run(["arm", "live-a", "--yes"]) == 78


def test_a_person_without_a_name_may_brake_too(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def nameless() -> str:
        raise KeyError("uid not found")

    monkeypatch.setattr("getpass.getuser", nameless)

    assert run(["pause"]) == 0
    assert "somebody" in read_control(home).entries[0].who
