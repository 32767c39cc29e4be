"""Opening a configuration file for a change and saving it: never over what nobody meant to lose."""

import json

import pytest

from config.editing import INTERRUPTED, ChangedError, Opened, edit, open_file, save
from core.errors import BusyError, ConfigError, TradeEngineError
from core.home import Home
from core.process.exit_codes import ExitCode
from core.settings.signals import AssetMapping
from core.settings.snapshot import CREDENTIALS, MAPPING
from core.settings.validation import InvalidFileError
from tests.unit.config_talk import Script

GOOD = {"tradingview": {"BTCUSDT": "BTCUSDT"}}
NEW = {"tradingview": {"BTCUSDT": "BTCUSDT", "ETHUSDT": "ETHUSDT"}}
OVERWRITE = "Overwrite it with what you entered here (y/n)?"
FROM_COPY = "Start from the last good copy, and replace the file with what you enter (y/n)?"


def write(home: Home, text: str) -> bytes:
    home.asset_mapping.write_text(text)
    return home.asset_mapping.read_bytes()


def edited(home: Home, talk: Script, document: object) -> int:
    def ask(_opened: Opened[AssetMapping]) -> object:
        return document

    return edit(talk, home, MAPPING, ask, effect=lambda _before, _after: "At once.")


def test_what_was_made_is_saved_for_its_owner_alone(home: Home) -> None:
    write(home, json.dumps(GOOD))
    talk = Script()

    assert edited(home, talk, NEW) == ExitCode.OK
    assert json.loads(home.asset_mapping.read_bytes()) == NEW
    assert home.asset_mapping.stat().st_mode & 0o777 == 0o600
    assert talk.said == [f"Saved to {home.asset_mapping}. At once."]


def test_the_last_good_copy_follows_at_once(home: Home) -> None:
    write(home, json.dumps(GOOD))
    open_file(MAPPING, home)
    edited(home, Script(), NEW)

    assert json.loads((home.last_good / MAPPING.name).read_bytes()) == NEW


def test_a_copy_that_cannot_follow_is_told(home: Home) -> None:
    write(home, json.dumps(GOOD))
    home.last_good.mkdir(parents=True, exist_ok=True)
    (home.last_good / MAPPING.name).mkdir()
    talk = Script()

    assert edited(home, talk, NEW) == ExitCode.OK
    assert "no last good copy could be kept" in talk.text


@pytest.mark.parametrize("exists", [True, False])
def test_a_link_stays_and_what_it_leads_to_is_written(home: Home, exists: bool) -> None:
    target = home.root / "elsewhere" / "mine.json"
    target.parent.mkdir()
    if exists:
        target.write_text(json.dumps(GOOD))
        target.chmod(0o644)
    home.asset_mapping.symlink_to(target)

    assert edited(home, Script(), NEW) == ExitCode.OK
    assert home.asset_mapping.is_symlink()
    assert json.loads(target.read_bytes()) == NEW
    assert target.stat().st_mode & 0o777 == 0o600


def test_a_link_that_leads_to_itself_is_told(home: Home) -> None:
    home.asset_mapping.symlink_to(home.asset_mapping)

    with pytest.raises(ConfigError, match="cannot be read"):
        edited(home, Script(), NEW)


def test_the_same_again_is_not_written(home: Home) -> None:
    before = write(home, json.dumps(GOOD, indent=7))
    talk = Script()

    assert edited(home, talk, GOOD) == ExitCode.OK
    assert home.asset_mapping.read_bytes() == before
    assert talk.said == ["Nothing was changed."]


def test_nothing_entered_makes_no_file(home: Home) -> None:
    assert edited(home, Script(), {}) == ExitCode.OK
    assert not home.asset_mapping.exists()


@pytest.mark.parametrize("leaving", [KeyboardInterrupt, EOFError])
def test_leaving_at_a_question_changes_nothing(home: Home, leaving: type[BaseException]) -> None:
    before = write(home, json.dumps(GOOD))
    talk = Script()

    def ask(_opened: Opened[AssetMapping]) -> object:
        raise leaving

    assert edit(talk, home, MAPPING, ask, effect=lambda _b, _a: "") == INTERRUPTED
    assert home.asset_mapping.read_bytes() == before
    assert talk.said == ["Nothing was changed."]


@pytest.mark.parametrize(
    ("answer", "code"),
    [pytest.param("n", ExitCode.REFUSED, id="no"), pytest.param("y", ExitCode.OK, id="yes")],
)
def test_an_edit_of_somebody_else_is_asked_about(home: Home, answer: str, code: int) -> None:
    write(home, json.dumps(GOOD))
    theirs = json.dumps({"bittensor": {}})

    def ask(_opened: Opened[AssetMapping]) -> object:
        write(home, theirs)
        return NEW

    talk = Script((OVERWRITE, answer))

    assert edit(talk, home, MAPPING, ask, effect=lambda _b, _a: "") == code
    kept = json.loads(home.asset_mapping.read_bytes())
    assert kept == (NEW if answer == "y" else json.loads(theirs))
    assert "changed by somebody else" in talk.text


def test_a_broken_file_without_a_good_copy_is_left_alone(home: Home) -> None:
    before = write(home, '{"tradingview": 7}')

    with pytest.raises(InvalidFileError, match="tradingview must be an object"):
        edited(home, Script(), NEW)
    assert home.asset_mapping.read_bytes() == before


@pytest.mark.parametrize("broken", ["{", '{"tradingview": 7}', None])
@pytest.mark.parametrize("answer", ["n", "y"])
def test_a_broken_or_lost_file_may_start_from_its_last_good_copy(
    home: Home, broken: str | None, answer: str
) -> None:
    write(home, json.dumps(GOOD))
    open_file(MAPPING, home)  # makes the copy
    before = None if broken is None else write(home, broken)
    if broken is None:
        home.asset_mapping.unlink()
    talk = Script((FROM_COPY, answer))
    seen: list[AssetMapping] = []

    def ask(opened: Opened[AssetMapping]) -> object:
        seen.append(opened.content)
        return dict(opened.document)

    code = edit(talk, home, MAPPING, ask, effect=lambda _b, _a: "")

    assert talk.said[0].startswith("! ")
    if answer == "y":
        assert (code, seen) == (ExitCode.OK, [GOOD])
        assert json.loads(home.asset_mapping.read_bytes()) == GOOD
    else:
        assert code == ExitCode.CONFIG
        assert (home.asset_mapping.read_bytes() if before else None) == before


def test_what_would_not_be_in_force_is_not_written(home: Home) -> None:
    before = write(home, json.dumps(GOOD))

    with pytest.raises(InvalidFileError):
        save(MAPPING, home, {"tradingview": {"X": "a b"}}, seen=before)
    with pytest.raises(ChangedError):
        save(MAPPING, home, NEW, seen=b"something else")
    assert home.asset_mapping.read_bytes() == before


def test_a_disk_that_takes_nothing_is_told(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    before = write(home, json.dumps(GOOD))
    monkeypatch.setattr("core.store._write_all", _full)

    with pytest.raises(TradeEngineError, match="No space left"):
        save(MAPPING, home, NEW, seen=before)
    assert home.asset_mapping.read_bytes() == before


def test_an_unreadable_file_is_told(home: Home) -> None:
    home.credentials.mkdir()

    with pytest.raises(ConfigError, match=r"credentials\.json cannot be read"):
        open_file(CREDENTIALS, home)


def test_a_file_being_saved_makes_others_wait(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    from filelock import FileLock  # noqa: PLC0415 - only here

    monkeypatch.setattr("config.editing.LOCK_WAIT_S", 0.0)
    with FileLock(home.state / f"{MAPPING.name}.lock"), pytest.raises(BusyError):
        save(MAPPING, home, NEW, seen=None)
    assert not home.asset_mapping.exists()


def _full(_handle: int, _content: bytes) -> None:
    raise OSError(28, "No space left on device")
