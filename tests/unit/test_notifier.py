"""The notifier on virtual time: files in, messages out, over restarts and failures."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import orjson
import pytest

from core.errors import ConfigError
from core.home import Home
from core.journal import Journal
from core.settings.engine import NotificationsConfig
from monitor.notifier.delivery import DeliveryError
from monitor.notifier.mailbox import Message
from monitor.notifier.notifier import Notifier
from tests.virtual_time import VirtualClock, run_virtually

T = TypeVar("T")
Act = Callable[["Stage"], Awaitable[None]]


async def at_once(work: Callable[[], T], /) -> T:
    """Threads know no virtual time."""
    return work()


class Post:
    """A courier that obeys the port and can be told to misbehave."""

    def __init__(self) -> None:
        self.got: list[Message] = []
        self.mood = "well"

    async def open(self) -> None:
        if self.mood == "unusable":
            raise DeliveryError("not understood")

    async def deliver(self, message: Message) -> None:
        if self.mood == "hangs":
            await asyncio.sleep(10**6)
        if self.mood == "fails":
            raise DeliveryError("429")
        if self.mood == "breaks":
            raise RuntimeError("a defect that names its secret")
        if self.mood == "dies":
            raise asyncio.CancelledError
        self.got.append(message)

    @property
    def text(self) -> str:
        return "\n".join(message.body for message in self.got)


class Stage:
    """A home with an engine's events, and channels on it."""

    def __init__(self, home: Home, posts: dict[str, Post]) -> None:
        self.home = home
        self.posts = posts
        self.clock = VirtualClock()
        self.config: Any = {"channels": [{"name": n, "url": f"json://{n}"} for n in posts]}
        self.notifier = self.new()
        self._journal = Journal(home.state, "events-")
        self._task: asyncio.Task[None] | None = None

    def new(self) -> Notifier:
        return Notifier(self.home, self.clock, self._read, lambda url: self.posts[url[7:]], at_once)

    def _read(self) -> NotificationsConfig:
        if self.config is None:
            raise ConfigError("broken")
        return NotificationsConfig.model_validate(self.config)

    def event(self, text: str, **changes: Any) -> None:
        row = {
            "at_ms": self.clock.now_ms(),
            "code": text,
            "severity": "error",
            "text": text,
            "account": "",
            "symbol": "",
        }
        lines = orjson.dumps(row | changes) + b"\n"
        self._journal.append_lines(lines, at_ms=self.clock.now_ms())

    def lose_events(self) -> None:
        for path in self.home.state.glob("events-*.jsonl"):
            path.write_bytes(b"")

    async def start(self) -> None:
        self._task = asyncio.create_task(self.notifier.run())
        await asyncio.sleep(3)

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            (ended,) = await asyncio.gather(self._task, return_exceptions=True)
            assert isinstance(ended, asyncio.CancelledError), ended
            self._task = None

    async def restart(self) -> None:
        await self.stop()
        self.notifier = self.new()
        await self.start()


def play(tmp_path: Path, act: Act, *names: str) -> Stage:
    home = Home(tmp_path)
    home.make_folders()

    async def whole() -> Stage:
        stage = Stage(home, {name: Post() for name in names or ("phone",)})
        try:
            await act(stage)
        finally:
            await stage.stop()
        return stage

    return run_virtually(whole())


def test_an_error_is_told_within_the_batch(tmp_path: Path) -> None:
    async def act(stage: Stage) -> None:
        stage.event("before us")
        await stage.start()
        stage.event("no disk")
        await asyncio.sleep(15)

    post = play(tmp_path, act).posts["phone"]

    assert "no disk" in post.text
    assert "before us" not in post.text


def test_a_channel_that_hangs_or_fails_delays_no_other(tmp_path: Path) -> None:
    async def act(stage: Stage) -> None:
        stage.posts["hung"].mood = "hangs"
        stage.posts["throttled"].mood = "fails"
        await stage.start()
        for number in range(20):
            stage.event(f"error {number}")
            await asyncio.sleep(11)

    stage = play(tmp_path, act, "hung", "throttled", "phone")
    problems = [problem.text for problem in stage.notifier.problems]

    assert [f"error {number}" in stage.posts["phone"].text for number in range(20)] == [True] * 20
    assert problems == [
        "channel hung does not deliver: no answer within 20 s",
        "channel throttled does not deliver: 429",
    ]
    assert stage.notifier.status()["throttled"]["last_error"] == "429"


def test_what_a_channel_missed_is_told_when_it_works_again(tmp_path: Path) -> None:
    async def act(stage: Stage) -> None:
        stage.posts["phone"].mood = "fails"
        await stage.start()
        stage.event("first")
        await asyncio.sleep(60)
        stage.posts["phone"].mood = "well"
        await asyncio.sleep(100)

    stage = play(tmp_path, act)

    assert stage.posts["phone"].text.count("first") == 1
    assert stage.notifier.problems == []


def test_a_restart_tells_what_was_left_and_repeats_nothing(tmp_path: Path) -> None:
    async def act(stage: Stage) -> None:
        trade = {"code": "confirmed", "severity": "info"}  # never taken for a repetition
        await stage.start()
        stage.event("told", **trade)
        await asyncio.sleep(15)
        stage.event("on its way", **trade)
        await asyncio.sleep(2)
        await stage.stop()
        stage.event("while it was down", **trade)
        await stage.restart()
        await asyncio.sleep(30)

    text = play(tmp_path, act).posts["phone"].text

    assert [text.count(word) for word in ("told", "on its way", "while it was down")] == [1, 1, 1]


def test_a_backlog_is_one_line(tmp_path: Path) -> None:
    async def act(stage: Stage) -> None:
        await stage.start()
        await stage.stop()
        for number in range(300):
            stage.event(f"error {number}")
        await asyncio.sleep(3600)
        await stage.restart()
        await asyncio.sleep(30)

    post = play(tmp_path, act).posts["phone"]

    assert len(post.got) == 1
    assert post.got[0].body.startswith("not told one by one: 300 errors")


def test_channels_come_and_go_without_a_restart(tmp_path: Path) -> None:
    async def act(stage: Stage) -> None:
        everyone = stage.config
        stage.config = {"channels": []}
        await stage.start()
        stage.event("unheard")
        await asyncio.sleep(5)
        stage.config = everyone
        await asyncio.sleep(5)
        stage.event("heard")
        await asyncio.sleep(20)
        stage.config = None  # a broken file: what is in force stays
        stage.event("still heard")
        await asyncio.sleep(20)
        stage.config = {"channels": []}
        await asyncio.sleep(5)
        stage.event("gone")
        await asyncio.sleep(20)
        stage.config = everyone
        await asyncio.sleep(20)

    text = play(tmp_path, act).posts["phone"].text

    assert "unheard" not in text
    assert "heard" in text
    assert "still heard" in text
    assert "gone" not in text


def test_a_changed_channel_keeps_what_waits_for_it(tmp_path: Path) -> None:
    async def act(stage: Stage) -> None:
        await stage.start()
        stage.event("waiting")
        await asyncio.sleep(3)
        stage.config = {**stage.config, "batch_s": 1}
        await asyncio.sleep(5)

    assert play(tmp_path, act).posts["phone"].text.count("waiting") == 1


def test_an_address_that_cannot_be_used_is_told_by_the_channels_name(tmp_path: Path) -> None:
    async def act(stage: Stage) -> None:
        stage.posts["phone"].mood = "unusable"
        await stage.start()

    (problem,) = play(tmp_path, act).notifier.problems

    assert str(problem) == (
        "channel phone: not understood (engine_config.json: notifications.channels.phone); "
        "correct its url"
    )


def test_a_lost_journal_is_told_and_the_rest_goes_on(tmp_path: Path) -> None:
    async def act(stage: Stage) -> None:
        await stage.start()
        stage.event("one")
        await asyncio.sleep(15)
        stage.lose_events()
        await asyncio.sleep(5)
        stage.event("two")
        await asyncio.sleep(20)

    text = play(tmp_path, act).posts["phone"].text

    assert "events were lost" in text
    assert "two" in text


@pytest.mark.parametrize("content", [b"", b"[]", b'{"position": 1, "channels": [2]}'])
def test_a_broken_memory_begins_anew(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "notified.json").write_bytes(content)

    async def act(stage: Stage) -> None:
        stage.event("before")
        await stage.start()
        stage.event("after")
        await asyncio.sleep(15)

    text = play(tmp_path, act).posts["phone"].text

    assert "after" in text
    assert "before" not in text


@pytest.mark.parametrize(
    ("mood", "said"),
    [("breaks", ["channel phone does not deliver: RuntimeError in the channel"]), ("dies", [])],
)
def test_a_channel_survives_what_nobody_expected(
    tmp_path: Path, mood: str, said: list[str]
) -> None:
    heard: list[str] = []

    async def act(stage: Stage) -> None:
        stage.posts["phone"].mood = mood
        await stage.start()
        stage.event("first")
        await asyncio.sleep(20)
        heard.extend(problem.text for problem in stage.notifier.problems)
        stage.posts["phone"].mood = "well"
        await asyncio.sleep(60)

    stage = play(tmp_path, act)

    assert heard == said
    assert stage.posts["phone"].text.count("first") == 1
    assert stage.notifier.problems == []


def test_an_event_of_an_absurd_time_does_not_silence_a_channel(tmp_path: Path) -> None:
    async def act(stage: Stage) -> None:
        await stage.start()
        stage.event("absurd", at_ms=2**62)
        await asyncio.sleep(15)
        stage.event("sound")
        await asyncio.sleep(15)

    text = play(tmp_path, act).posts["phone"].text

    assert "absurd" in text
    assert "sound" in text


def test_a_channel_that_comes_after_the_last_one_went_gets_no_history(tmp_path: Path) -> None:
    async def act(stage: Stage) -> None:
        everyone = stage.config
        await stage.start()
        stage.event("heard")
        await asyncio.sleep(15)
        stage.config = {"channels": []}
        await asyncio.sleep(5)
        left.append((tmp_path / "state" / "notified.json").exists())
        await stage.stop()
        stage.event("history")
        stage.config = everyone
        await asyncio.sleep(3600)
        await stage.restart()
        await asyncio.sleep(30)

    left: list[bool] = []
    post = play(tmp_path, act).posts["phone"]

    assert left == [False]
    assert [message.body.count("heard") for message in post.got] == [1]


def test_a_broken_configuration_at_the_start_forgets_nothing(tmp_path: Path) -> None:
    async def act(stage: Stage) -> None:
        everyone = stage.config
        await stage.start()
        await stage.stop()
        stage.event("while it was down")
        stage.config = None
        await stage.restart()
        stage.config = everyone
        await asyncio.sleep(30)

    assert "while it was down" in play(tmp_path, act).posts["phone"].text


def test_an_engine_whose_clock_is_behind_is_told_of_line_by_line(tmp_path: Path) -> None:
    async def act(stage: Stage) -> None:
        await stage.start()
        stage.event("late", at_ms=stage.clock.now_ms() - 3_600_000)
        await asyncio.sleep(15)

    assert play(tmp_path, act).posts["phone"].text.endswith("late")
