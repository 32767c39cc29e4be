"""Writes docs/commands.md from the command line itself: `python -m commands.document`.

A test compares the page with what this would write, so it can neither lack a command nor an option.
"""

import sys
from collections.abc import Iterator
from typing import Any, Final

import typer

from commands.main import COMMANDS, MARK, build
from core.home import CHECKOUT
from core.store import atomic_write_bytes

PAGE: Final = CHECKOUT / "docs" / "commands.md"
READABLE: Final = 0o644
PROGRAM: Final = "./trade-engine"
HEAD: Final = """\
# Commands

Written by `python -m commands.document` from the command line itself: do not edit it.

`./trade-engine COMMAND --help` says the same. What reads takes `--json`. A wrong word is answered
with the nearest right one and exit code 2; all exit codes are in
[processes.md](processes.md#exit-codes).
"""
HELP: Final = frozenset({"help"})


def page() -> str:
    """Give the whole page."""
    parts = [HEAD]
    panel = ""
    for name, entry in sorted(COMMANDS.items(), key=lambda row: _panels().index(row[1].panel)):
        if entry.panel != panel:
            panel = entry.panel
            parts.append(f"## {panel}\n")
        parts.extend(_sections(name, loaded(name)))
    return "\n".join(parts)


def loaded(name: str) -> Any:  # noqa: ANN401 - a click command; typer brings its own click
    """Load one command as the command line does."""
    group: Any = typer.main.get_command(build(name))
    return group.commands[name]


def leaves(name: str, command: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401
    """Give a command and all below it, each with the words that call it."""
    yield name, command
    for word, inner in getattr(command, "commands", {}).items():
        yield from leaves(f"{name} {word}", inner)


def example_of(command: Any) -> str:  # noqa: ANN401
    """Give the command line that its help ends with; "" without one."""
    return str(command.epilog or "").removeprefix(MARK).strip()


def main() -> int:
    """Write the page; with `--check` only tell by the exit code whether it is up to date."""
    text = page().encode()
    if "--check" in sys.argv[1:]:
        return 0 if PAGE.exists() and PAGE.read_bytes() == text else 3
    atomic_write_bytes(PAGE, text, mode=READABLE)
    return 0


def _panels() -> list[str]:
    return list(dict.fromkeys(entry.panel for entry in COMMANDS.values()))


def _sections(name: str, top: Any) -> Iterator[str]:  # noqa: ANN401
    for words, command in leaves(name, top):
        yield f"### {words}\n"
        yield f"{_text(command.help)}\n"
        yield f"    {PROGRAM} {words} {' '.join(_usage(command))}".rstrip() + "\n"
        rows = [row for parameter in command.params if (row := _row(parameter))]
        if rows:
            yield "| option | default | meaning |\n|---|---|---|\n" + "\n".join(rows) + "\n"
        if example := example_of(command):
            yield f"For example:\n\n```console\n{example}\n```\n"


def _usage(command: Any) -> Iterator[str]:  # noqa: ANN401
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            word = str(parameter.name).upper()
            yield word if parameter.required else f"[{word}]"
        elif parameter.required:
            yield f"{parameter.opts[0]} {_kind(parameter)}"
    if any(not row.required and row.name not in HELP for row in _options(command)):
        yield "[OPTIONS]"
    if getattr(command, "commands", None):
        yield "COMMAND"


def _options(command: Any) -> Iterator[Any]:  # noqa: ANN401
    return (row for row in command.params if row.param_type_name == "option")


def _row(parameter: Any) -> str:  # noqa: ANN401
    if parameter.name in HELP or getattr(parameter, "hidden", False):
        return ""
    is_option = parameter.param_type_name == "option"
    words = [*parameter.opts, *parameter.secondary_opts] if is_option else [parameter.name.upper()]
    kind = f" {_kind(parameter)}" if is_option and not parameter.is_flag else ""
    named = ", ".join(f"`{word}{kind}`" for word in words)
    return f"| {named} | {_default(parameter)} | {_text(parameter.help).replace('|', '&#124;')} |"


def _kind(parameter: Any) -> str:  # noqa: ANN401
    name = str(parameter.opts[0]).lstrip("-").upper().replace("-", "_")
    return str(parameter.metavar or name)


def _default(parameter: Any) -> str:  # noqa: ANN401
    if parameter.required:
        return "needed"
    default = parameter.default
    if default in (None, "", False, ()) or callable(default):
        return ""
    return f"`{default}`"


def _text(told: str | None) -> str:
    return " ".join((told or "").replace("\b", "").split())


if __name__ == "__main__":
    sys.exit(main())
