"""The way out: one message through apprise. The only file that knows it.

It runs in a thread of its own that nobody waits for at the end: a server that sends a byte an hour
can hold up that thread, and nothing else. Addresses are secrets; apprise and what it uses write
them into their logs, so these are cut off here and only heard for the reason of a failure.
"""

import asyncio
import logging
import threading
import warnings
from collections.abc import Callable
from typing import Any, Final, Protocol, TypeVar

from core.errors import TradeEngineError
from core.process.logs import redact
from monitor.notifier.mailbox import Message

T = TypeVar("T")
TALKATIVE: Final = ("apprise", "urllib3", "requests", "requests_oauthlib", "oauthlib", "markdown")
LONGEST_REASON: Final = 200


class DeliveryError(TradeEngineError):
    """A message was not delivered, as far as we know; the text holds no secret."""


class Courier(Protocol):
    """What a channel delivers by."""

    async def open(self) -> None:
        """Make ready. Raises DeliveryError when the address cannot be used."""
        ...

    async def deliver(self, message: Message) -> None:
        """Deliver. Raises DeliveryError."""
        ...


class AppriseCourier:
    """Delivers to one apprise address."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._service: Any = None
        self._is_busy = False

    def __repr__(self) -> str:
        """Tell nothing of the address."""
        return "AppriseCourier(***)"

    async def open(self) -> None:
        """Make ready. Raises DeliveryError when apprise does not understand the address."""
        await self._apart(self._open)

    async def deliver(self, message: Message) -> None:
        """Deliver one message. Raises DeliveryError, also while the last one still hangs."""
        if self._service is None:
            await self.open()
        await self._apart(lambda: self._send(message))

    def _open(self) -> None:
        heard = _listen()
        apprise = load_library()
        # no time-out of its own: it would leave threads that the process waits for at its end
        asset = apprise.AppriseAsset(
            async_mode=False, service_timeout=0, storage_mode="memory", app_id="trade-engine"
        )
        service = apprise.Apprise(asset=asset)
        if not service.add(self._url):
            raise DeliveryError(heard.reason() or "apprise does not understand the address")
        self._service = service

    def _send(self, message: Message) -> None:
        heard = _listen()
        result = self._service.notify(
            title=message.title, body=message.body, notify_type=message.tone, body_format="text"
        )
        if not result:
            raise DeliveryError(heard.reason() or "it was not delivered")

    async def _apart(self, work: Callable[[], T]) -> T:
        if self._is_busy:
            raise DeliveryError("the message before this one still hangs")
        self._is_busy = True
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[T] = loop.create_future()
        words = (work, outcome, loop, self._free)
        try:
            threading.Thread(target=_run, args=words, name="deliver", daemon=True).start()
        except RuntimeError:  # no `_run` begins that would free us
            self._free()
            raise DeliveryError("this machine has no thread left for it") from None
        return await outcome

    def _free(self) -> None:
        self._is_busy = False


def load_library() -> Any:  # noqa: ANN401 - a module
    """Import apprise with its plugins: about a second, paid where a channel is configured."""
    with _loading, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of what its plugins import
        import apprise  # noqa: PLC0415

        apprise.Apprise.instantiate("json://localhost")  # the first one loads the plugins
    return apprise


class _Heard(logging.Handler):
    """Keeps what apprise last complained of, thread by thread; writes nothing anywhere."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._last: dict[int, str] = {}

    def emit(self, record: logging.LogRecord) -> None:
        self._last[threading.get_ident()] = record.getMessage()

    def forget(self) -> None:
        self._last.pop(threading.get_ident(), None)

    def reason(self) -> str:
        """Give the last complaint of this thread; "" where it may hold an address."""
        text = redact(self._last.pop(threading.get_ident(), ""))
        return "" if "://" in text else text[:LONGEST_REASON]


_heard: Final = _Heard()
_loading: Final = threading.Lock()


def _listen() -> _Heard:
    """Cut the talkative libraries off from our logs, whatever level those have."""
    for name in TALKATIVE:
        logger = logging.getLogger(name)
        logger.propagate = False
        logger.setLevel(logging.WARNING)
        logger.handlers[:] = [_heard]
    _heard.forget()
    return _heard


def _run(
    work: Callable[[], T],
    outcome: "asyncio.Future[T]",
    loop: asyncio.AbstractEventLoop,
    free: Callable[[], None],
) -> None:
    said: object
    try:
        said = work()
    except DeliveryError as error:
        said = error
    except Exception as error:  # noqa: BLE001 - some hundred plugins of strangers: none may end us
        # without its text: that may repeat the address
        said = DeliveryError(f"{type(error).__name__} in the channel's library")
    free()  # before anybody is told and comes with the next one
    _tell(loop, outcome, said)


def _tell(loop: asyncio.AbstractEventLoop, outcome: "asyncio.Future[T]", said: object) -> None:
    def settle() -> None:
        if outcome.done():  # nobody waits any more
            return
        if isinstance(said, Exception):
            outcome.set_exception(said)
        else:
            outcome.set_result(said)  # type: ignore[arg-type] # what `work` gave

    try:
        loop.call_soon_threadsafe(settle)
    except RuntimeError:  # the loop is closed: the process ends
        return
