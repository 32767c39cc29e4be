"""The way out: what apprise and its friends say stays with us, and so do the addresses."""

import asyncio
import logging
import socket
import threading

import pytest

from core.process.logs import register_secret
from monitor.notifier.delivery import AppriseCourier, DeliveryError
from monitor.notifier.mailbox import Message

SECRET = "S3cretOfTheAddress"
MESSAGE = Message(title="t", body="b", tone="info")


class Broken:
    """A library that fails in its own way."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def notify(self, **_: object) -> bool:
        raise self._error


class Slow:
    """A library that answers when it is let go."""

    def __init__(self) -> None:
        self.go = threading.Event()

    def notify(self, **_: object) -> bool:
        return self.go.wait(20)


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.mark.parametrize(
    "url",
    [
        pytest.param(f"json://127.0.0.1:{{port}}/{SECRET}", id="nobody-there"),
        pytest.param(f"nonsense://{SECRET}", id="unknown-service"),
        pytest.param(f"tgram://{SECRET}", id="not-understood"),
        pytest.param(f"discord://{SECRET}", id="incomplete"),
    ],
)
async def test_a_failure_tells_no_address_anywhere(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    register_secret(SECRET)
    courier = AppriseCourier(url.format(port=closed_port()))
    with pytest.raises(DeliveryError) as caught:
        await courier.deliver(MESSAGE)

    assert SECRET not in f"{caught.value} {courier!r} {caplog.text}"
    assert {record.name for record in caplog.records} <= {"asyncio"}


async def test_whatever_a_plugin_raises_is_a_failed_delivery_without_its_words() -> None:
    courier = AppriseCourier("json://localhost")
    courier._service = Broken(RuntimeError(f"could not reach {SECRET}"))

    with pytest.raises(DeliveryError, match=r"^RuntimeError in the channel's library$"):
        await courier.deliver(MESSAGE)


async def test_one_message_at_a_time_is_under_way() -> None:
    courier = AppriseCourier("json://localhost")
    courier._service = slow = Slow()
    first = asyncio.create_task(courier.deliver(MESSAGE))
    await asyncio.sleep(0)
    with pytest.raises(DeliveryError, match="still hangs"):
        await courier.deliver(MESSAGE)
    slow.go.set()
    await first

    await courier.deliver(MESSAGE)  # free again


async def test_a_machine_without_threads_fails_one_message_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    courier = AppriseCourier("json://localhost")
    slow = Slow()
    slow.go.set()
    courier._service = slow
    with monkeypatch.context() as without:
        without.setattr(threading.Thread, "start", refuse)
        with pytest.raises(DeliveryError, match="no thread left"):
            await courier.deliver(MESSAGE)

    await courier.deliver(MESSAGE)  # free again
