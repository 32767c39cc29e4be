"""A whole installation under a PM2 daemon of its own, driven as a person would."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from core.home import HOME_VARIABLE, Home

ROOT = Path(__file__).resolve().parents[2]
NAMES = (
    *("paper-exchange", "tradingview-endpoint", "bittensor-signals"),
    *("trade-engine", "monitor"),
)
STUB = """
import asyncio, sys
from core.process.service import Service, run_service

async def answer(reader, writer):
    await reader.readuntil(b"\\r\\n\\r\\n")
    writer.write(b'HTTP/1.1 200 OK\\r\\nConnection: close\\r\\n\\r\\n{"ping":"pong"}')
    await writer.drain()
    writer.close()

async def main(service: Service) -> None:
    server = await asyncio.start_server(answer, sock=service.listen("127.0.0.1", 0))
    await service.ready()
    await service.stopping.wait()
    server.close()

sys.exit(run_service("NAME", main))
"""


class Installation:
    """One checkout, one home, one PM2; driven by the command line as a person would."""

    def __init__(self, checkout: Path, folder: Path) -> None:
        self.checkout = checkout
        self.home = Home(folder / "home")
        self.pm2_home = folder / "pm2"
        self.home.root.mkdir(mode=0o700)
        config = {
            "webhook": {"port": 0, "token": "token-of-a-test"},
            "monitor": {"port": 0},
            "paper_exchange": {"port": 0},
        }
        self.home.engine_config.write_text(json.dumps(config))
        self.home.engine_config.chmod(0o600)

    @property
    def environment(self) -> dict[str, str]:
        own = {"PM2_HOME": str(self.pm2_home), HOME_VARIABLE: str(self.home.root)}
        return {**os.environ, **own, "PYTHONPATH": str(self.checkout)}

    def run(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603 - this test's own words
            [sys.executable, "-P", "-m", "commands", *words],
            env=self.environment | variables,
            cwd="/",
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
        )

    def up(self) -> dict[str, Any]:
        done = self.run("up", "--json")
        assert done.returncode == 0, done.stderr
        document: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return document

    def pm2(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        pm2 = ROOT / "node_modules" / "pm2" / "bin" / "pm2"
        return subprocess.run(  # noqa: S603 - this test's own words
            [str(node()), str(pm2), *words],
            env=self.environment | variables,
            cwd="/",
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    def pids(self) -> dict[str, int]:
        """Tell who holds each service's lock, alive or not."""
        found = {}
        for name in NAMES:
            with suppress(OSError, ValueError):
                found[name] = json.loads((self.home.state / f"{name}.lock").read_bytes())["pid"]
        return found

    def part(self, name: str) -> dict[str, Any]:
        read: dict[str, Any] = json.loads(
            (self.home.state / "status" / f"{name}.json").read_bytes()
        )
        return read

    def kill_daemon(self) -> None:
        os.kill(int((self.pm2_home / "pm2.pid").read_text()), signal.SIGKILL)

    def end(self) -> None:
        if self.pm2_home.exists():
            self.pm2("kill")
        for pid in self.pids().values():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def node() -> Path | None:
    own = ROOT / ".venv" / "bin" / "node"
    found = str(own) if own.exists() else shutil.which("node")
    return Path(found) if found else None


def ping(url: str) -> bytes:
    with urllib.request.urlopen(f"{url}/ping", timeout=10) as answer:  # noqa: S310 - ours
        content: bytes = answer.read()
        return content


def eventually(check: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
