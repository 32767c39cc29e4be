from pathlib import Path

import pytest

from commands.test import CHECKS, failures

PROJECT = """
[tool.ruff.lint]
select = ["F"]
[tool.mypy]
strict = true
files = ["high", "low"]
[tool.importlinter]
root_packages = ["high", "low"]
[[tool.importlinter.contracts]]
name = "down only"
type = "layers"
layers = ["high", "low"]
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    for name in ("high", "low"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


def test_a_clean_project_fails_no_check(project: Path) -> None:
    assert failures(project) == []


def test_every_check_can_fail(project: Path) -> None:
    (project / "low" / "wrong.py").write_text("import high\nx: int =  'one'\ny = unknown\n")

    assert failures(project) == [" ".join(check) for check in CHECKS]
