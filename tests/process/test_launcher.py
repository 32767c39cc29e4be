"""The launcher and its set-up, offline: the tools they call are scripts that write down how."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.process
# what set-up calls, each writing a line and making what the real one would make
UV = """#!/bin/sh
echo "uv $*" >> "$CALLS"
case $1 in venv) mkdir -p "$5/bin"; ln -s "$VENV_PYTHON" "$5/bin/python" ;; esac
[ ! -f "$FAIL_UV" ]
"""
NODE = """#!/bin/sh
case $1 in -e) printf '%s\\n%s\\n' "$0" "${NODE_VERSION:-20.1.0}" ;; esac
"""
NPM = """#!/bin/sh
echo "npm $*" >> "$CALLS"
mkdir -p node_modules/pm2/bin && : > node_modules/pm2/bin/pm2
"""
PYTHON_OF_VENV = """#!/bin/sh
case "$*" in
    "-P -m commands"*)
        shift 3
        echo "$PWD $*"
        env | grep -c '^PYTHON[DPH]'
        exit 0 ;;
esac
exec "$REAL_PYTHON" "$@"
"""


class Checkout:
    def __init__(self, folder: Path) -> None:
        self.root = folder / "checkout"
        (self.root / "commands").mkdir(parents=True)
        for name in ("trade-engine", "pyproject.toml", "requirements.lock", "package-lock.json"):
            shutil.copy(ROOT / name, self.root)
        shutil.copy(ROOT / "commands" / "set_up.py", self.root / "commands")
        self.tools = folder / "tools"
        self.tools.mkdir()
        for name, text in (("uv", UV), ("node", NODE), ("npm", NPM)):
            self.tool(name, text)
        for name in ("sh", "dirname", "readlink", "cat", "cksum", "mkdir", "ln", "env", "grep"):
            (self.tools / name).symlink_to(str(shutil.which(name)))
        (self.tools / "python3").symlink_to(os.path.realpath(sys.executable))
        self.calls = folder / "calls"
        self.calls.touch()
        self.fail_uv = folder / "fail"
        python = self.tools / "python-of-venv"
        self.tool(python.name, PYTHON_OF_VENV)
        self.environment = {
            "PATH": str(self.tools),
            "CALLS": str(self.calls),
            "FAIL_UV": str(self.fail_uv),
            "VENV_PYTHON": str(python),
            "REAL_PYTHON": sys.executable,
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def tool(self, name: str, text: str) -> None:
        path = self.tools / name
        path.unlink(missing_ok=True)
        path.write_text(text)
        path.chmod(0o755)

    def run(self, *words: str, launcher: Path | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603 - this test's own words
            [str(launcher or self.root / "trade-engine"), *words],
            env=self.environment,
            cwd=self.tools,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def called(self) -> list[str]:
        lines = self.calls.read_text().splitlines()
        self.calls.write_text("")
        return lines


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_first_use_sets_up_and_hands_over(checkout: Checkout) -> None:
    done = checkout.run("positions", "--json", "two words")

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == f"{checkout.tools} positions --json two words"
    calls = checkout.called()
    assert [row for row in calls if "--require-hashes --requirement" in row]
    assert [row for row in calls if "--no-build-isolation --editable" in row]
    assert [row for row in calls if row.startswith("npm ci --ignore-scripts")]


def test_bytecode_is_written_and_foreign_import_paths_are_not_taken_over(
    checkout: Checkout,
) -> None:
    checkout.environment |= {"PYTHONHOME": "/nowhere", "PYTHONPATH": "/nowhere"}
    done = checkout.run("ps")

    assert done.stdout.splitlines()[1] == "0"  # of PYTHONDONTWRITEBYTECODE, ...PATH, ...HOME


def test_a_second_use_calls_nothing_and_is_quick(checkout: Checkout) -> None:
    checkout.run("ps")
    checkout.called()
    begun = time.monotonic()
    done = checkout.run("ps")

    assert done.stdout.startswith(str(checkout.tools))
    assert checkout.called() == []
    assert time.monotonic() - begun < 2


@pytest.mark.parametrize("name", ["requirements.lock", "package-lock.json", "pyproject.toml"])
def test_a_changed_lock_sets_up_again(checkout: Checkout, name: str) -> None:
    checkout.run("ps")
    checkout.called()
    with (checkout.root / name).open("a") as file:
        file.write("\n")
    checkout.run("ps")

    assert checkout.called()


@pytest.mark.parametrize("part", [".venv/bin/python", ".venv/bin/node", "node_modules/pm2/bin/pm2"])
def test_a_missing_part_is_made_again(checkout: Checkout, part: str) -> None:
    checkout.run("ps")
    (checkout.root / part).unlink()
    done = checkout.run("ps")

    assert done.returncode == 0, done.stderr
    assert (checkout.root / part).exists()


def test_a_moved_checkout_gets_a_new_environment(checkout: Checkout) -> None:
    checkout.run("ps")
    moved = checkout.root.with_name("moved")
    checkout.root.rename(moved)
    checkout.called()
    done = checkout.run("ps", launcher=moved / "trade-engine")

    assert done.returncode == 0, done.stderr
    assert [row for row in checkout.called() if row.startswith("uv venv")]


def test_an_installation_cut_short_is_done_anew(checkout: Checkout) -> None:
    checkout.run("ps")
    (checkout.root / ".venv" / ".trade-engine-set-up").unlink()
    (checkout.root / ".venv" / ".trade-engine-begun").touch()
    checkout.called()
    checkout.run("ps")

    assert [row for row in checkout.called() if "--reinstall --require-hashes" in row]
    assert not (checkout.root / ".venv" / ".trade-engine-begun").exists()


def test_a_link_to_the_launcher_finds_its_checkout(checkout: Checkout) -> None:
    link = checkout.tools / "te"
    link.symlink_to("../checkout/trade-engine")

    assert checkout.run("ps", launcher=link).returncode == 0


def test_a_dead_shim_of_python_is_passed_over(checkout: Checkout) -> None:
    checkout.tool("python3.11", "#!/bin/sh\necho 'python3.11: command not found' >&2\nexit 127\n")

    assert checkout.run("ps").returncode == 0


def test_without_python_the_reason_is_one_line(checkout: Checkout) -> None:
    (checkout.tools / "python3").unlink()
    refused = checkout.run("ps")

    assert refused.returncode == 1
    assert (
        refused.stderr == "trade-engine: Python 3.11 or later is needed, none was found on PATH\n"
    )


def test_an_old_node_is_not_used(checkout: Checkout) -> None:
    checkout.environment["NODE_VERSION"] = "16.20.0"
    shutil.copy(ROOT / "requirements-node.lock", checkout.root)
    checkout.run("ps")

    assert [row for row in checkout.called() if "requirements-node.lock" in row]


def test_two_at_once_set_up_once(checkout: Checkout) -> None:
    slow = NPM.replace("mkdir", "/bin/sleep 1; mkdir", 1)
    checkout.tool("npm", slow)
    words = [str(checkout.root / "trade-engine"), "ps"]
    both = [
        subprocess.Popen(  # noqa: S603 - this test's own words
            words, env=checkout.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for _ in range(2)
    ]

    assert [process.wait(60) for process in both] == [0, 0]
    assert len([row for row in checkout.called() if row.startswith("npm ci")]) == 1
