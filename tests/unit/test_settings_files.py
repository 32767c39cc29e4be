"""What is in force when a configuration file is edited, torn, broken or gone (drill B13)."""

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import ConfigError
from core.home import Home
from core.settings import Settings, SettingsReader, load_settings, snapshot
from core.store import atomic_write_bytes

OLD_NS = 1_600_000_000_000_000_000
CREDENTIALS = {
    "accounts": [
        {
            "name": "first",
            "exchange": "bybit",
            "api_key": "key-AAAA",
            "api_secret": "secret-BBBB",
            "environment": "paper",
        }
    ]
}
MAPPING = {"tradingview": {"BTCUSDT": "BTCUSDT"}, "bittensor": {"BTCUSD": "BTCUSDT"}}
WEIGHTS = [
    {
        "symbol": "BTCUSDT",
        "leverage": 3,
        "sources": [
            {"source": "tradingview", "weight": 0.1},
            {"source": "bittensor", "weight": 0.15},
        ],
    }
]
ENGINE = {"webhook": {"token": "token-CCCC", "port": 8123}, "engine": {"max_gross_exposure": 2}}
FILES = {
    "credentials.json": CREDENTIALS,
    "asset_mapping_config.json": MAPPING,
    "signal_weight_config.json": WEIGHTS,
    "engine_config.json": ENGINE,
}
NAMES = sorted(FILES)
PARSERS: dict[str, Callable[[object], object]] = {
    kind.name: kind.parse
    for kind in (snapshot.CREDENTIALS, snapshot.MAPPING, snapshot.WEIGHTS, snapshot.ENGINE)
}
_times = iter(range(OLD_NS, OLD_NS * 2, 1_000_000_000))


def put(home: Home, name: str, content: object) -> Path:
    """Write a file as an editor does, with a time long past so that its signature is settled."""
    path = home.root / name
    path.write_bytes(content if isinstance(content, bytes) else orjson.dumps(content))
    path.chmod(0o600)
    os.utime(path, ns=(OLD_NS, next(_times)))
    return path


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path)
    for name, content in FILES.items():
        put(made, name, content)
    return made


def in_force(read: Settings, name: str) -> object:
    return {
        "credentials.json": read.accounts,
        "asset_mapping_config.json": read.mapping,
        "signal_weight_config.json": read.weights,
        "engine_config.json": read.engine,
    }[name]


def test_valid_files_are_in_force_and_kept_as_last_good(home: Home) -> None:
    read = load_settings(home)

    assert read.problems == ()
    assert read.accounts[0].name == "first"
    assert read.engine.webhook.port == 8123
    for name in NAMES:
        assert (home.last_good / name).read_bytes() == (home.root / name).read_bytes()
        assert stat.S_IMODE((home.last_good / name).stat().st_mode) == 0o600
    assert stat.S_IMODE(home.last_good.stat().st_mode) == 0o700


def test_with_nothing_new_a_read_reads_no_byte(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = SettingsReader(home)
    first = reader.read()
    reads = reader.file_reads

    def forbidden(*_: object) -> None:
        raise AssertionError("a byte was read")

    monkeypatch.setattr(Path, "read_bytes", forbidden)
    monkeypatch.setattr(os, "open", forbidden)

    assert all(reader.read() is first for _ in range(3))
    assert reader.file_reads == reads == 4


def test_a_missing_file_is_not_looked_for_again_and_again(tmp_path: Path) -> None:
    reader = SettingsReader(Home(tmp_path))
    first = reader.read()
    reads = reader.file_reads

    assert reader.read() is first
    assert reader.file_reads == reads


def test_an_edit_is_in_force_at_the_next_read(home: Home) -> None:
    reader = SettingsReader(home)
    before = reader.read()
    put(home, "asset_mapping_config.json", {"tradingview": {"X": "ETHUSDT"}})
    after = reader.read()

    assert after.mapping == {"tradingview": {"X": "ETHUSDT"}}
    assert after.weights is before.weights
    assert after.hash != before.hash


def test_an_edit_within_one_tick_of_the_clock_and_of_equal_size_is_seen(home: Home) -> None:
    reader = SettingsReader(home)
    path = home.root / "asset_mapping_config.json"
    path.write_bytes(b'{"a": {"X": "AAUSDT"}}')
    reader.read()
    times = path.stat()
    with path.open("r+b") as file:
        file.write(b'{"a": {"X": "BBUSDT"}}')
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))

    assert reader.read().mapping == {"a": {"X": "BBUSDT"}}


def test_a_fresh_file_read_again_unchanged_gives_the_same_settings(home: Home) -> None:
    reader = SettingsReader(home)
    (home.root / "asset_mapping_config.json").write_bytes(b"{}")

    assert reader.read() is reader.read()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("share", [0.0, 0.5, 0.95])
@pytest.mark.parametrize("is_restarted", [False, True], ids=["same-process", "restarted"])
def test_b13_a_half_written_file_leaves_the_last_good_copy_in_force(
    home: Home, name: str, share: float, *, is_restarted: bool
) -> None:
    reader = SettingsReader(home)
    before = reader.read()
    whole = (home.root / name).read_bytes()
    put(home, name, whole[: int(len(whole) * share)])
    after = (SettingsReader(home) if is_restarted else reader).read()

    assert in_force(after, name) == in_force(before, name)
    (problem,) = after.problems
    assert problem.file == name
    assert "last good copy" in problem.remedy
    assert after.hash == before.hash


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("is_restarted", [False, True], ids=["same-process", "restarted"])
def test_b13_a_file_that_is_gone_leaves_the_last_good_copy_in_force(
    home: Home, name: str, *, is_restarted: bool
) -> None:
    reader = SettingsReader(home)
    before = reader.read()
    (home.root / name).unlink()
    after = (SettingsReader(home) if is_restarted else reader).read()

    assert in_force(after, name) == in_force(before, name)
    assert [problem.file for problem in after.problems] == [name]


def test_a_corrected_file_is_in_force_again_and_the_problem_gone(home: Home) -> None:
    reader = SettingsReader(home)
    reader.read()
    put(home, "signal_weight_config.json", b"[{")
    assert reader.read().problems
    put(home, "signal_weight_config.json", [])

    assert reader.read().problems == ()
    assert reader.read().weights == ()


def test_an_unreadable_file_is_not_an_empty_one(home: Home) -> None:
    reader = SettingsReader(home)
    before = reader.read()
    (home.root / "asset_mapping_config.json").unlink()
    (home.root / "asset_mapping_config.json").mkdir()
    after = reader.read()

    assert after.mapping == before.mapping
    assert "cannot be read" in after.problems[0].text


def test_a_file_that_can_be_read_again_is_though_it_looks_the_same(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_settings(home)
    real, refused = Path.read_bytes, home.root / "asset_mapping_config.json"

    def read_bytes(path: Path) -> bytes:
        if path == refused:
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(path)

    reader = SettingsReader(home)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", read_bytes)
        assert "Permission denied" in reader.read().problems[0].text
        assert reader.read() is reader.read()

    assert reader.read().problems == ()


def test_without_any_file_nothing_is_traded_and_what_to_run_is_told(tmp_path: Path) -> None:
    read = load_settings(Home(tmp_path))

    assert (read.accounts, dict(read.mapping), read.weights) == ((), {}, ())
    assert read.engine.webhook.token.get_secret_value() == ""
    assert [problem.file for problem in read.problems] == [
        "credentials.json",
        "asset_mapping_config.json",
        "signal_weight_config.json",
    ]
    assert all("trade-engine up" in problem.remedy for problem in read.problems)


@pytest.mark.parametrize("name", NAMES)
def test_a_broken_file_that_never_was_good_stops_the_start(home: Home, name: str) -> None:
    put(home, name, b"{")

    with pytest.raises(ConfigError, match=name):
        load_settings(home)


def test_a_lost_file_with_a_damaged_copy_stops_rather_than_starts_from_nothing(home: Home) -> None:
    load_settings(home)
    (home.root / "signal_weight_config.json").unlink()
    (home.last_good / "signal_weight_config.json").write_bytes(b"[")

    with pytest.raises(ConfigError, match="signal_weight_config"):
        load_settings(home)


def test_a_full_disk_keeps_no_copy_but_the_file_is_in_force(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("core.settings.files.atomic_write_bytes", full)
    read = load_settings(home)

    assert read.accounts[0].name == "first"
    assert {problem.severity for problem in read.problems} == {"warning"}
    assert "No space left" in read.problems[0].text


def test_c2_secrets_readable_by_others_are_tightened_and_told(home: Home) -> None:
    reader = SettingsReader(home)
    reader.read()
    path = home.root / "credentials.json"
    path.chmod(0o644)
    read = reader.read()

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "0644" in read.problems[0].text
    assert read.problems[0].severity == "warning"
    assert reader.read() is read


def test_a_mode_that_cannot_be_tightened_says_what_to_run(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home.root / "engine_config.json").chmod(0o640)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, "not the owner")

    monkeypatch.setattr(Path, "chmod", refuse)
    reader = SettingsReader(home)

    assert "chmod 600" in reader.read().problems[0].remedy
    assert reader.read() is reader.read()


def test_credentials_wait_for_a_restart_where_the_reader_keeps_them(home: Home) -> None:
    reader = SettingsReader(home, is_keeping_accounts=True)
    before = reader.read()
    put(home, "credentials.json", {"accounts": []})
    after = reader.read()

    assert after.accounts == before.accounts
    assert "restart" in after.problems[0].remedy
    put(home, "credentials.json", CREDENTIALS)
    assert reader.read().problems == ()


def test_the_hash_tells_content_not_secrets_nor_layout(home: Home) -> None:
    before = load_settings(home).hash
    put(home, "engine_config.json", orjson.dumps(ENGINE, option=orjson.OPT_INDENT_2))
    assert load_settings(home).hash == before
    put(home, "engine_config.json", {**ENGINE, "webhook": {"token": "other", "port": 8123}})
    assert load_settings(home).hash == before
    put(home, "engine_config.json", {**ENGINE, "webhook": {"port": 8123}})
    assert load_settings(home).hash == before
    put(home, "engine_config.json", {**ENGINE, "monitor": {"port": 1}})

    assert load_settings(home).hash != before
    assert len(before) == 64


def test_no_secret_is_in_repr_or_text(home: Home) -> None:
    read = load_settings(home)

    for secret in ("AAAA", "BBBB", "CCCC"):
        assert secret not in repr(read)
        assert secret not in str(read)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "example.com"])  # noqa: S104 - not bound
def test_c6_a_monitor_open_to_the_network_is_told(home: Home, host: str) -> None:
    put(home, "engine_config.json", {"monitor": {"host": host}})
    (problem,) = load_settings(home).problems

    assert problem.key == "monitor.host"
    assert problem.severity == "warning"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.2", "::1"])
def test_a_monitor_on_this_machine_is_no_problem(home: Home, host: str) -> None:
    put(home, "engine_config.json", {"monitor": {"host": host}})

    assert load_settings(home).problems == ()


def test_accounts_and_weights_are_found_by_name(home: Home) -> None:
    read = load_settings(home)

    assert read.account("first") is read.accounts[0]
    assert read.account("second") is None
    assert read.symbol_weights("BTCUSDT") is read.weights[0]
    assert read.symbol_weights("XRPUSDT") is None


def mutated(content: bytes) -> st.SearchStrategy[bytes]:
    """Bytes of a valid file with a stretch cut out, replaced or put in."""
    at = st.integers(0, len(content))
    noise = st.binary(max_size=6) | st.sampled_from(
        [b'"', b"{", b"}", b"1e999", b"null", b"-", b"0"]
    )
    return st.tuples(at, st.integers(0, 12), noise).map(
        lambda cut: content[: cut[0]] + cut[2] + content[cut[0] + cut[1] :]
    )


@pytest.mark.parametrize("name", NAMES)
@settings(
    max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(picked=st.data())
def test_b13_no_damage_ever_gives_defaults_or_another_exception(
    tmp_path: Path, name: str, picked: st.DataObject
) -> None:
    parse = PARSERS[name]
    valid = orjson.dumps(FILES[name])
    home = Home(tmp_path)
    for other in NAMES:
        put(home, other, FILES[other])
    good = in_force(load_settings(home), name)
    damaged = picked.draw(mutated(valid))
    put(home, name, damaged)
    try:
        expected = parse(orjson.loads(damaged))
        expected = getattr(expected, "accounts", expected)
        is_valid = True
    except (orjson.JSONDecodeError, ConfigError):
        expected, is_valid = good, False
    read = load_settings(home)

    assert in_force(read, name) == expected
    assert bool(read.problems) is not is_valid
    # and nothing of it is remembered as good unless it was
    atomic_write_bytes(home.root / name, b"{")
    assert in_force(load_settings(home), name) == expected
