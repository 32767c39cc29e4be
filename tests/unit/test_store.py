import errno
import os
import stat
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import ConfigError
from core.store import atomic_write_bytes, atomic_write_json, json_default, read_json, to_json


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    atomic_write_json(tmp_path / "a.json", {"lots": Decimal("0.10"), "n": 3})

    assert read_json(tmp_path / "a.json") == {"lots": "0.10", "n": 3}


def test_decimals_become_plain_digits_never_exponents() -> None:
    assert json_default(Decimal("1E+3")) == "1000"
    assert json_default(Decimal("1E-9")) == "0.000000001"
    assert json_default(Path("x")) == "x"


def test_a_value_without_json_form_is_refused() -> None:
    with pytest.raises(TypeError, match="not JSON serializable"):
        to_json(object())


def test_a_new_file_is_its_owners_alone(tmp_path: Path) -> None:
    atomic_write_json(tmp_path / "a.json", {})

    assert stat.S_IMODE((tmp_path / "a.json").stat().st_mode) == 0o600


def test_a_missing_file_is_not_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path / "a.json")


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="truncated-to-nothing"),
        pytest.param(b'{"BTCUSDT": 0.1', id="torn"),
        pytest.param(b'{"a": "\xff"}', id="not-utf8"),
        pytest.param(b'{"a": NaN}', id="nan"),
    ],
)
def test_a12_a_torn_file_is_an_error_that_names_it_never_empty(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "depths.json").write_bytes(content)

    with pytest.raises(ConfigError, match=r"depths\.json"):
        read_json(tmp_path / "depths.json")


@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
def test_a12_disk_full_leaves_the_old_file_whole_and_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    path = tmp_path / "a.json"
    atomic_write_json(path, {"old": True})

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    if call == "replace":
        monkeypatch.setattr(Path, "replace", fail)
    else:
        monkeypatch.setattr(os, call, fail)
    with pytest.raises(OSError, match="No space"):
        atomic_write_json(path, {"old": False})

    assert read_json(path) == {"old": True}
    assert [found.name for found in tmp_path.iterdir()] == ["a.json"]


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda handle, content: real(handle, content[:3]))
    atomic_write_bytes(tmp_path / "a.json", b"0123456789")

    assert (tmp_path / "a.json").read_bytes() == b"0123456789"


def test_the_folder_is_synced_after_the_rename(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, bool]] = []
    real_fsync, real_replace = os.fsync, Path.replace

    def fsync(handle: int) -> None:
        seen.append(("fsync", stat.S_ISDIR(os.fstat(handle).st_mode)))
        real_fsync(handle)

    def replace(path: Path, target: Path) -> Path:
        seen.append(("replace", False))
        return real_replace(path, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    atomic_write_json(tmp_path / "a.json", {})

    assert seen == [("fsync", False), ("replace", False), ("fsync", True)]


@settings(max_examples=50)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=10,
    )
)
def test_every_json_value_survives_a_round_trip(
    tmp_path_factory: pytest.TempPathFactory, value: object
) -> None:
    path = tmp_path_factory.getbasetemp() / "round-trip.json"
    atomic_write_json(path, value, is_indented=True)

    assert read_json(path) == value
