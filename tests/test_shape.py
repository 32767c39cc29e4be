"""House rules that no linter knows; each rule is also shown to catch what it is for."""

import ast
import importlib
import json
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = (
    *("core", "signal_processors", "account_processors", "paper_exchange", "monitor"),
    *("commands", "config"),
)
SOURCES = sorted(
    [
        ROOT / "execute_trades.py",
        *(path for name in PACKAGES for path in (ROOT / name).rglob("*.py")),
    ]
)
TESTS = sorted((ROOT / "tests").rglob("*.py"))
LINES_OF_A_FILE = 400
LINES_OF_A_FUNCTION = 50
COMPLEXITY = 10
COPIED_STATEMENTS = 6
# a script puts its own folder first on the import path: a name there hides a library's
ENTRY_FOLDERS = (".", "signal_processors", "monitor", "paper_exchange", "config")
BRANCHES = (
    *(ast.If, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, ast.comprehension),
    ast.match_case,
)  # McCabe's count: the operands of `and` and the arms of `x if y else z` are ruff's business

Rule = Callable[[str], list[str]]


def functions(text: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def body_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.stmt]:
    has_docstring = ast.get_docstring(function) is not None
    return function.body[1:] if has_docstring else function.body


def too_long(text: str) -> list[str]:
    lines = text.count("\n")
    return [f"{lines} lines"] if lines > LINES_OF_A_FILE else []


def long_functions(text: str) -> list[str]:
    sizes = {node.name: (node.end_lineno or 0) - node.lineno + 1 for node in functions(text)}
    return [f"{name}: {size} lines" for name, size in sizes.items() if size > LINES_OF_A_FUNCTION]


def tangled_functions(text: str) -> list[str]:
    found = {}
    for node in functions(text):
        found[node.name] = 1 + sum(isinstance(part, BRANCHES) for part in ast.walk(node))
    return [f"{name}: complexity {count}" for name, count in found.items() if count > COMPLEXITY]


def float_calls(text: str) -> list[str]:
    return [
        f"line {node.lineno}: float("
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "float"
    ]


def missing_docstring(text: str) -> list[str]:
    return [] if not text or ast.get_docstring(ast.parse(text)) else ["no module docstring"]


def machine_paths(text: str) -> list[str]:
    names = ("work", "root", "farm", "Users", "opt/pypi", "opt/wheels")
    here = re.compile(rf"(?<![\w.~}}-])/(?:{'|'.join(names)})/[\w.]")
    hosts = re.compile(r"pypi\.org/simple|registry\.npmjs\.(?:org|com)|files\.pythonhosted\.org")
    return [match.group() for rule in (here, hosts) for match in rule.finditer(text)]


def addresses(text: str) -> list[str]:
    found = re.findall(r"https?://\S+|file:\S+|git\+\S+|\S+\.(?:tgz|whl|tar\.gz)\b", text)
    return found + re.findall(r"^\s*--(?!hash)\S+", text, re.MULTILINE)


def copies(texts: dict[str, str]) -> list[str]:
    """Find functions whose arguments and body are the same in two files."""
    seen: dict[str, set[str]] = defaultdict(set)
    for where, text in texts.items():
        for node in functions(text):
            body = body_of(node)
            statements = sum(isinstance(part, ast.stmt) for row in body for part in ast.walk(row))
            if statements >= COPIED_STATEMENTS:
                key = ast.dump(node.args) + "".join(ast.dump(row) for row in body)
                seen[key].add(f"{where}:{node.name}")
    files = {key: {name.rpartition(":")[0] for name in names} for key, names in seen.items()}
    return [" = ".join(sorted(seen[key])) for key, where in files.items() if len(where) > 1]


def library_names() -> set[str]:
    ours = {"trade-engine", "trade_engine"}
    installed = metadata.packages_distributions().items()
    return set(sys.stdlib_module_names) | {
        name for name, packages in installed if not ours.intersection(packages)
    }


def shadowing(names: list[str], libraries: set[str]) -> list[str]:
    return [name for name in names if name in libraries]


def each(paths: list[Path], rule: Rule) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}: {problem}"
        for path in paths
        if path.exists()
        for problem in rule(path.read_text())
    ]


def tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],  # noqa: S607
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout: tracked files are unknown")
    return [ROOT / name for name in listed.stdout.split("\0") if name]


@pytest.mark.parametrize(
    ("rule", "paths"),
    [
        pytest.param(too_long, SOURCES + TESTS, id="files-are-short"),
        pytest.param(long_functions, SOURCES + TESTS, id="functions-are-short"),
        pytest.param(tangled_functions, SOURCES + TESTS, id="functions-are-simple"),
        pytest.param(missing_docstring, SOURCES, id="modules-say-why-they-exist"),
        pytest.param(
            float_calls,
            [path for path in SOURCES if path.is_relative_to(ROOT / "core")]
            + [path for path in SOURCES if path.is_relative_to(ROOT / "account_processors")],
            id="money-is-never-a-float",
        ),
    ],
)
def test_sources_keep_the_house_rule(rule: Rule, paths: list[Path]) -> None:
    assert len(paths) > 5
    assert each(paths, rule) == []


def test_no_function_is_a_copy_of_another_file_s() -> None:
    texts = {str(path.relative_to(ROOT)): path.read_text() for path in SOURCES if path.exists()}

    assert copies(texts) == []


@pytest.mark.parametrize("folder", ENTRY_FOLDERS)
def test_no_name_beside_an_entry_script_hides_a_library(folder: str) -> None:
    here = ROOT / folder
    names = [path.stem for path in here.glob("*.py")]
    names += [path.parent.name for path in here.glob("*/*.py") if path.parent.parent == here]

    assert names
    assert shadowing(sorted(set(names)), library_names()) == []


@pytest.mark.parametrize("package", PACKAGES)
def test_our_packages_are_imported_from_this_checkout(package: str) -> None:
    module = importlib.import_module(package)

    assert Path(str(module.__file__)).resolve().is_relative_to(ROOT)


@pytest.mark.parametrize(
    "name", ["requirements.lock", "requirements-uv.lock", "requirements-node.lock"]
)
def test_python_locks_hold_hashes_and_no_address(name: str) -> None:
    text = (ROOT / name).read_text()
    pins = re.findall(r"^[\w.\[\]-]+==\S+", text, re.MULTILINE)
    unhashed = re.findall(r"^[\w.\[\]-]+==[^\\\n]+$", text, re.MULTILINE)

    assert pins
    assert unhashed == []
    assert addresses(text) == []


def test_the_node_lock_holds_hashes_and_no_address() -> None:
    packages = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    installed = {name: row for name, row in packages.items() if name}

    assert installed
    assert [name for name, row in installed.items() if "integrity" not in row] == []
    assert [name for name, row in installed.items() if "resolved" in row] == []


def test_no_tracked_file_names_this_machine() -> None:
    skipped = {".lock", ".png", ".ico"}
    paths = [path for path in tracked() if path.is_file() and path.suffix not in skipped]

    assert each(paths, machine_paths) == []


@pytest.mark.parametrize(
    ("rule", "bad", "good"),
    [
        pytest.param(too_long, "x = 1\n" * 401, "x = 1\n" * 400, id="long-file"),
        pytest.param(
            long_functions,
            "def f():\n" + "    x = 1\n" * 50,
            "def f():\n" + "    x = 1\n" * 49,
            id="long-function",
        ),
        pytest.param(
            tangled_functions,
            "def f(a):\n" + "    if a: pass\n" * 10,
            "def f(a):\n" + "    if a: pass\n" * 9,
            id="tangled-function",
        ),
        pytest.param(float_calls, "x = float('1')", "x: float = 1.0", id="float"),
        pytest.param(missing_docstring, "x = 1", '"""Why."""\nx = 1', id="docstring"),
        pytest.param(machine_paths, "a = '/" + "root/x'", "a = '/webhook/x'", id="machine-path"),
        pytest.param(addresses, "a==1 \\\n  https://h/a.whl", "a==1 --hash=sha256:0", id="url"),
        pytest.param(addresses, "--index-url x", "a==1 \\\n    --hash=sha256:0", id="index"),
    ],
)
def test_each_rule_catches_what_it_is_for(rule: Rule, bad: str, good: str) -> None:
    assert rule(bad)
    assert rule(good) == []


def test_the_copy_rule_sees_through_names_and_docstrings() -> None:
    body = "".join(f"    x{n} = a + {n}\n" for n in range(6))
    one, other = f"def f(a):\n{body}", f'def g(a):\n    """Say."""\n{body}'

    assert copies({"one.py": one, "other.py": other}) == ["one.py:f = other.py:g"]
    assert copies({"one.py": one, "other.py": other.replace("+ 5", "+ 6")}) == []


def test_the_shadow_rule_knows_standard_and_installed_names() -> None:
    assert shadowing(["logging", "aiohttp", "bybit"], library_names()) == [
        "logging",
        "aiohttp",
    ]
