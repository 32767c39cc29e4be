"""Every help fits a screen and ends with an example; a wrong word gives the right one."""

import shlex
from typing import Any

import pytest

from commands.document import PAGE, example_of, leaves, loaded, main, page
from commands.main import COMMANDS, help_of, run
from core.process.exit_codes import ExitCode

Capture = pytest.CaptureFixture[str]
LINES = 40
COLUMNS = 100
ALL = [
    pytest.param(words, command, id=words.replace(" ", "-"))
    for name in COMMANDS
    for words, command in leaves(name, loaded(name))
]


def shown(words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> list[str]:
    monkeypatch.setenv("COLUMNS", str(COLUMNS))
    monkeypatch.setattr("typer.rich_utils.MAX_WIDTH", COLUMNS)
    capsys.readouterr()
    assert run([*words, "--help"]) == 0
    return [line.strip() for line in capsys.readouterr().out.strip().splitlines()]


@pytest.mark.parametrize(("words", "command"), ALL)
def test_a_help_fits_a_screen_and_ends_with_its_example(
    words: str, command: Any, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    lines = shown(words.split(), monkeypatch, capsys)
    example = example_of(command)

    assert len(lines) <= LINES
    assert max(map(len, lines)) <= COLUMNS
    assert example.startswith(f"./trade-engine {words}")
    assert " ".join(lines).endswith(f"Example: {example}")


@pytest.mark.parametrize("word", ["flatten", "correct-accounts", "resume"])
def test_the_help_of_a_command_in_need_fits_a_small_screen(
    word: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("typer.rich_utils.MAX_WIDTH", 80)
    assert run([word, "--help"]) == 0

    assert len(capsys.readouterr().out.splitlines()) < 24


@pytest.mark.parametrize(("words", "command"), ALL)
def test_an_example_is_a_command_line_that_is_understood(words: str, command: Any) -> None:
    program, *given = shlex.split(example_of(command))
    own, rest = given[: len(words.split())], given[len(words.split()) :]

    assert program == "./trade-engine"
    assert " ".join(own) == words
    if hasattr(command, "commands"):
        inner = next((word for word in rest if not word.startswith("-")), None)
        command = command if inner is None else command.commands[inner]
        rest = rest if inner is None else rest[1:]
    assert command.make_context(words, rest) is not None


def test_the_overview_ends_with_an_example(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    assert shown([], monkeypatch, capsys)[-1] == "Example: ./trade-engine up"


@pytest.mark.parametrize(
    ("words", "right"),
    [
        pytest.param(["verison"], "version", id="command"),
        pytest.param(["flaten"], "flatten", id="command-of-danger"),
        pytest.param(["webhook", "shwo"], "show", id="sub-command"),
        pytest.param(["doctor", "--bundel", "x"], "--bundle", id="option"),
        pytest.param(["webhook", "test", "--bdy", "x"], "--body", id="option-of-a-sub-command"),
    ],
)
def test_a_wrong_word_gives_the_nearest_right_one(
    words: list[str], right: str, capsys: Capture
) -> None:
    assert run(words) == ExitCode.USAGE
    assert right in capsys.readouterr().err


def test_an_example_may_stand_at_the_end_of_the_docstring() -> None:
    class Module:
        @staticmethod
        def command() -> None:
            """Do it. Example: ./trade-engine it --now"""

    assert help_of(Module) == ("Do it.", "Example: ./trade-engine it --now")


def test_the_page_of_commands_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m commands.document"


@pytest.mark.parametrize(("words", "command"), ALL)
def test_the_page_has_every_command_and_option(words: str, command: Any) -> None:
    section = page().partition(f"\n### {words}\n")[2].partition("\n### ")[0]

    assert example_of(command) in section
    for parameter in command.params:
        if parameter.name != "help" and not parameter.hidden:
            assert all(f"`{word}" in section for word in parameter.opts if word.startswith("-"))


def test_the_page_can_be_checked_without_writing_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["document", "--check"])
    monkeypatch.setattr("commands.document.page", lambda: "other")
    before = PAGE.read_bytes()

    assert main() == ExitCode.CHECK_FAILED
    assert PAGE.read_bytes() == before
