"""Follows what is written under `state/` and gives each channel what it wants to hear.

Reads files only; its own are `state/notified.json` and its part of the monitor's status. What it
was about to tell outlives a restart, and nothing is told twice.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

from core.errors import ConfigError
from core.home import Home
from core.journal import JournalLostError, JournalTail, Position, journal_names
from core.ports import Clock
from core.settings import ConfigProblem
from core.settings.engine import FILE, NotificationChannel, NotificationsConfig
from core.status.parts import read_parts
from core.store import atomic_write_bytes, read_json, to_json
from monitor.notifier.channel import Channel
from monitor.notifier.delivery import AppriseCourier, Courier
from monitor.notifier.news import News
from monitor.notifier.picking import pick
from monitor.notifier.service_watch import ServiceWatch

log = logging.getLogger(__name__)

LOOK_S: Final = 1.0
"""Seconds between two looks; with nothing new they read the services' small status parts only."""
PREFIX: Final = "events-"
LAST_DELIVERY_S: Final = 1.5
"""Seconds at the end for messages on their way, within PM2's kill time-out."""

T = TypeVar("T")
ReadConfig = Callable[[], NotificationsConfig]
MakeCourier = Callable[[str], Courier]


class Apart(Protocol):
    """Runs what waits for a disk beside the loop."""

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]:
        """Run it and give its answer."""
        ...


@dataclass(slots=True, kw_only=True)
class _Running:
    config: NotificationChannel
    channel: Channel
    task: "asyncio.Task[None]"


class Notifier:
    """Tells the configured channels; `read_config` may raise ConfigError."""

    def __init__(
        self,
        home: Home,
        clock: Clock,
        read_config: ReadConfig,
        make_courier: MakeCourier = AppriseCourier,
        apart: Apart = asyncio.to_thread,
    ) -> None:
        self._apart = apart
        self._home = home
        self._clock = clock
        self._read_config = read_config
        self._make_courier = make_courier
        self._config = NotificationsConfig()
        self._running: dict[str, _Running] = {}
        self._tail: JournalTail | None = None
        self._watch: ServiceWatch | None = None
        self._memory: Mapping[str, Any] = {}
        self._written = b""

    @property
    def problems(self) -> list[ConfigProblem]:
        """What a person should mend: channels that fail, by name, never by address."""
        found = []
        for name, running in self._running.items():
            channel = running.channel
            if channel.unusable:
                text, remedy = f"channel {name}: {channel.unusable}", "correct its url"
            elif channel.mailbox.failures:
                text = f"channel {name} does not deliver: {channel.mailbox.last_error}"
                remedy = "it is tried again; test it: ./trade-engine send-log-message"
            else:
                continue
            key = f"notifications.channels.{name}"
            found.append(
                ConfigProblem(file=FILE, key=key, text=text, remedy=remedy, severity="warning")
            )
        return found

    def status(self) -> dict[str, Any]:
        """Give how every channel stands, as JSON values without secrets."""
        return {name: running.channel.status() for name, running in self._running.items()}

    async def run(self) -> None:
        """Work until cancelled; then keep in the file what is not told yet."""
        self._memory = await self._apart(self._remembered)
        try:
            while True:
                await self._look()
                await self._clock.sleep(LOOK_S)
        finally:
            await self._end([one.task for one in self._running.values()])

    async def _end(self, tasks: Sequence["asyncio.Task[None]"]) -> None:
        """Let what is on its way arrive, for a moment: else it would be told again."""
        for running in self._running.values():
            running.channel.stop()
        try:
            if tasks:
                await asyncio.wait(tasks, timeout=LAST_DELIVERY_S)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._write(self._content())

    async def _look(self) -> None:
        is_known = await self._adopt_config()
        if not self._running:
            if is_known:
                await self._apart(self._forget)
            return
        self._revive()
        is_backlog = self._tail is None
        news = await self._apart(self._news)
        if news:
            for running in self._running.values():
                running.channel.offer(news, is_backlog=is_backlog)
        content = self._content()
        await self._apart(lambda: self._write(content))

    def _forget(self) -> None:
        """Drop all memory: what happens unheard is no news later."""
        self._tail = self._watch = None
        self._memory = {}
        self._written = b""
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("notified.json not removed", extra={"error": str(error)})

    def _revive(self) -> None:
        """Start again what ended by itself: whatever it was, people are to be told."""
        for name, running in self._running.items():
            if running.task.done() and not running.channel.unusable:
                log.warning("the channel ended and starts again", extra={"channel": name})
                running.task = _begun(running.channel)

    async def _adopt_config(self) -> bool:
        """Tell whether the configuration could be read."""
        try:
            config = await self._apart(self._read_config)
        except ConfigError:
            return False  # told by the monitor; what is in force stays
        if config != self._config:
            self._adopt(config)
        return True

    def _adopt(self, config: NotificationsConfig) -> None:
        without = {"channels": ()}
        is_other = config.model_copy(update=without) != self._config.model_copy(update=without)
        wanted = {channel.name: channel for channel in config.channels}
        rows = self._channel_rows() or self._memory.get("channels", {})
        self._config = config
        for name, running in list(self._running.items()):
            if is_other or wanted.get(name) != running.config:
                running.task.cancel()
                del self._running[name]
        for name, channel in wanted.items():
            if name not in self._running:
                self._running[name] = self._start(channel, rows)

    def _start(self, config: NotificationChannel, rows: object) -> _Running:
        courier = self._make_courier(config.url.get_secret_value())
        channel = Channel(config, self._config, courier, self._clock)
        if isinstance(rows, Mapping):
            channel.mailbox.remember(rows.get(config.name), self._clock.now_ms())
        return _Running(config=config, channel=channel, task=_begun(channel))

    def _news(self) -> list[News]:
        now_ms = self._clock.now_ms()
        found = []
        if self._tail is None:
            self._tail = self._tail_from(self._memory)
        try:
            rows = self._tail.read_new()
        except JournalLostError as error:
            text = f"events were lost, what happens from now on is told: {error}"
            found.append(News(kind="alert", at_ms=now_ms, text=text, key="events_lost"))
            self._tail = self._tail_from({})
            rows = []
        found.extend(news for row in rows if (news := pick(row)) is not None)
        if self._watch is None:
            self._watch = ServiceWatch(self._memory.get("services"))
        self._memory = {}  # used up: what is taken up anew begins now
        found.extend(self._watch.look(read_parts(self._home), now_ms))
        return found

    def _tail_from(self, memory: Mapping[str, Any]) -> JournalTail:
        """Go on where we were; without that, begin with what happens from now on."""
        match memory:
            case {"position": [str(file), int(offset)]}:
                position: Position | None = Position(file, offset)
            case {"position": None}:  # there was nothing yet: all that came since is new
                position = None
            case _:
                position = _newest_end(self._home.state)
        return JournalTail(self._home.state, PREFIX, position)

    def _remembered(self) -> Mapping[str, Any]:
        try:
            row = read_json(self._path)
        except (OSError, ConfigError):  # none yet, or broken: then it begins anew
            return {}
        return row if isinstance(row, dict) else {}

    def _content(self) -> bytes:
        """Give what must outlive a restart; on the loop, where nobody changes it meanwhile."""
        if self._tail is None or self._watch is None:
            return b""
        position = self._tail.position
        row = {
            "position": None if position is None else [position.file, position.offset],
            "services": self._watch.to_row(),
            "channels": self._channel_rows(),
        }
        return to_json(row)

    def _write(self, content: bytes) -> None:
        if not content or content == self._written:
            return
        try:
            atomic_write_bytes(self._path, content)
            self._written = content
        except OSError as error:  # disk full: people are told all the same
            log.warning("notified.json not written", extra={"error": str(error)})

    def _channel_rows(self) -> dict[str, Any]:
        return {name: one.channel.mailbox.to_row() for name, one in self._running.items()}

    @property
    def _path(self) -> Path:
        return self._home.state / "notified.json"


def _begun(channel: Channel) -> "asyncio.Task[None]":
    return asyncio.create_task(channel.run(), name=f"notify-{channel.name}")


def _newest_end(folder: Path) -> Position | None:
    """Find the end of the newest whole line; None = nothing was written yet."""
    with suppress(OSError):
        names = journal_names(folder, PREFIX)
        if names:
            content = (folder / names[-1]).read_bytes()
            return Position(names[-1], content.rfind(b"\n") + 1)
    return None
