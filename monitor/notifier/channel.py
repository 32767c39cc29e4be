"""One channel's task: waits until its mailbox has a message, delivers it, notes what came of it.

Each channel has its own: one that hangs, fails or is throttled holds up no other.
"""

import asyncio
import logging
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Final

from core.ports import Clock
from core.settings.engine import NotificationChannel, NotificationsConfig
from monitor.notifier.delivery import Courier, DeliveryError
from monitor.notifier.mailbox import Mailbox
from monitor.notifier.news import News

log = logging.getLogger(__name__)

LONGEST_WAIT_S: Final = 3600.0
AFTER_DEFECT_S: Final = 5.0
"""Seconds of rest after a defect, so that one that stays does not take a whole core."""


class Channel:
    """A channel of the configuration, at work."""

    def __init__(
        self,
        config: NotificationChannel,
        common: NotificationsConfig,
        courier: Courier,
        clock: Clock,
    ) -> None:
        self.name = config.name
        self.mailbox = Mailbox(common, config.what)
        self.unusable = ""  # why its address cannot be used at all
        self._timeout_s = common.timeout_s
        self._courier = courier
        self._clock = clock
        self._changed = asyncio.Event()
        self._is_stopping = False

    def offer(self, news: Iterable[News], *, is_backlog: bool = False) -> None:
        """Take news; never waits. A backlog is what happened before we looked at all."""
        self.mailbox.offer(news, self._clock.now_ms(), is_backlog=is_backlog)
        self._changed.set()

    def stop(self) -> None:
        """Begin no other message."""
        self._is_stopping = True
        self._changed.set()

    def status(self) -> dict[str, Any]:
        """Give how it stands, as JSON values without secrets."""
        box = self.mailbox
        return {
            "last_ok_at_ms": box.last_ok_at_ms,
            "last_error": self.unusable or box.last_error,
            "failures": box.failures,
            "waiting": box.waiting,
            "suppressed": box.repeats.suppressed,
            "dropped": box.dropped,
        }

    async def run(self) -> None:
        """Deliver until stopped or cancelled; a defect is a failure, never the end."""
        while not self._is_stopping and not self.unusable:
            try:
                await self._open()
                await self._work()
            except Exception as error:  # noqa: BLE001 - a channel that dies is one that is silent
                # without its text: that may repeat the address
                self._note_failure(f"{type(error).__name__} in the channel")
                await asyncio.sleep(AFTER_DEFECT_S)

    async def _open(self) -> None:
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._courier.open()
        except TimeoutError:
            pass  # a slow start; delivering opens it too
        except DeliveryError as error:
            self.unusable = str(error)
            log.warning("not usable", extra={"channel": self.name, "reason": self.unusable})

    async def _work(self) -> None:
        while not self._is_stopping and not self.unusable:
            self._changed.clear()
            await self._deliver_due()
            if not self._is_stopping:
                await self._wait()

    async def _deliver_due(self) -> None:
        message = self.mailbox.take(self._clock.now_ms())
        if message is None:
            return
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._courier.deliver(message)
        except TimeoutError:
            self._note_failure(f"no answer within {self._timeout_s:g} s")
        except DeliveryError as error:
            self._note_failure(str(error))
        else:
            self.mailbox.done(self._clock.now_ms())

    def _note_failure(self, reason: str) -> None:
        self.mailbox.failed(self._clock.now_ms(), reason)
        if self.mailbox.failures == 1:
            log.warning("not delivered", extra={"channel": self.name, "reason": reason})

    async def _wait(self) -> None:
        now_ms = self._clock.now_ms()
        at_ms = self.mailbox.next_at_ms(now_ms)
        wait_s = LONGEST_WAIT_S if at_ms is None else max(0, at_ms - now_ms) / 1000
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._changed.wait()
