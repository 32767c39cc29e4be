import json
from pathlib import Path

import pytest

from commands import logs as reading
from commands.main import run
from core.home import Home

Capture = pytest.CaptureFixture[str]


def write(home: Home, service: str, *rows: object) -> Path:
    path = home.logs / f"{service}.err.log"
    with path.open("a") as file:
        for row in rows:
            file.write((row if isinstance(row, str) else json.dumps(row)) + "\n")
    return path


def row(second: int, event: str, **fields: object) -> dict[str, object]:
    at = f"2026-01-01T00:00:{second:02}.000000+00:00"
    return {"at": at, "level": "INFO", "event": event, "service": "x", "logger": "y", **fields}


def test_lines_of_all_services_are_merged_by_time(home: Home, capsys: Capture) -> None:
    write(home, "monitor", row(2, "second"), row(4, "fourth"))
    write(home, "trade-engine", row(1, "first"), row(3, "third", symbol="ETHUSDT"))
    assert run(["logs", "--no-follow"]) == 0
    lines = capsys.readouterr().out.splitlines()

    assert [line.split()[4] for line in lines] == ["first", "second", "third", "fourth"]
    assert lines[2].endswith("trade-engine         INFO    third symbol=ETHUSDT")


def test_only_the_last_lines_are_shown(home: Home, capsys: Capture) -> None:
    write(home, "monitor", row(1, "old"), row(2, "new"))
    run(["logs", "--no-follow", "--lines", "1"])

    assert "new" in (text := capsys.readouterr().out)
    assert "old" not in text


def test_a_traceback_of_a_crash_stays_with_its_line(home: Home, capsys: Capture) -> None:
    write(home, "monitor", row(1, "before"), "Traceback (most recent call last):", "  Error: x")
    write(home, "trade-engine", row(2, "after"))
    run(["logs", "--no-follow"])
    lines = capsys.readouterr().out.splitlines()

    assert lines[1:3] == ["monitor: Traceback (most recent call last):", "monitor:   Error: x"]
    assert lines[3].endswith("after")


def test_raw_lines_are_as_written(home: Home, capsys: Capture) -> None:
    write(home, "monitor", row(1, "one"))
    run(["logs", "monitor", "--no-follow", "--raw"])

    assert json.loads(capsys.readouterr().out)["event"] == "one"


def test_an_unknown_service_is_a_usage_error(home: Home) -> None:
    assert home.logs.exists()
    assert run(["logs", "nobody", "--no-follow"]) == 2


@pytest.mark.parametrize("is_rotated", [False, True])
def test_following_shows_new_lines_also_after_a_rotation(
    home: Home, capsys: Capture, monkeypatch: pytest.MonkeyPatch, is_rotated: bool
) -> None:
    path = write(home, "monitor", row(1, "before"), row(1, "filler"))
    turns = iter(range(2))

    class Turns:
        @staticmethod
        def sleep(_seconds: float) -> None:
            if next(turns, None) is None:
                raise KeyboardInterrupt
            if is_rotated:
                path.write_text("")
            write(home, "monitor", row(2, "later"))

    monkeypatch.setattr(reading, "time", Turns)

    assert run(["logs", "monitor"]) == 130
    assert "later" in capsys.readouterr().out
