"""`trade-engine test`: everything CI runs, in one go; extra words go to pytest.

All checks run even when one fails; pytest comes last, so that its summary ends the output.
"""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import typer

from core.home import CHECKOUT

EXAMPLE: Final = "./trade-engine test tests/unit -k planner"
CONTEXT_SETTINGS: Final = {"allow_extra_args": True, "ignore_unknown_options": True}
CHECKS: Final = (
    ("ruff", "check", "."),
    ("ruff", "format", "--check", "."),
    ("mypy",),
    ("lint-imports",),
)


def command(context: typer.Context) -> None:
    """Run linters, types, import contracts and all tests; extra words go to pytest."""
    failed = failures(CHECKOUT)
    if failed:  # told here: pytest has the last word, the exit code counts both
        typer.echo(f"FAILED: {'; '.join(failed)}", err=True)
    code = _run(CHECKOUT, "pytest", "-n", "2", *context.args)
    raise typer.Exit(code or (1 if failed else 0))


def failures(folder: Path) -> list[str]:
    """Run every check but the tests in a folder and name those that said no."""
    return [" ".join(check) for check in CHECKS if _run(folder, *check) != 0]


def _run(folder: Path, tool: str, *words: str) -> int:
    typer.echo(f"--- {' '.join((tool, *words))}", err=True)
    beside: Sequence[str] = (str(Path(sys.executable).with_name(tool)), *words)
    return subprocess.run(beside, cwd=folder, check=False).returncode  # noqa: S603
