"""Many waiters, one fdatasync: what arrives while a flush is under way rides the next one.

The flush runs in a thread of its own; everything else happens on the loop. Knows nothing of what
the rows mean.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

from core.journal.files import Position, encode_rows
from core.ports import Clock

Row = Mapping[str, Any]


class LineJournal(Protocol):
    """What is needed of a journal."""

    def append_lines(self, lines: bytes, *, at_ms: int) -> Position:
        """Store whole lines durably or raise OSError."""
        ...

    def close(self) -> None:
        """Give the file back."""
        ...


@dataclass(slots=True, kw_only=True)
class _Waiter:
    prepare: Callable[[], bytes]
    done: asyncio.Future[None]


class GroupCommit:
    """Stores rows in order of arrival; bound to the loop that first commits.

    `on_stored(position)` and `on_failed()` run on the loop after each flush, before its waiters
    go on. `flush_count` counts fdatasyncs, for tests and status.
    """

    def __init__(
        self,
        journal: LineJournal,
        clock: Clock,
        *,
        on_stored: Callable[[Position], None] | None = None,
        on_failed: Callable[[], None] | None = None,
    ) -> None:
        self.flush_count = 0
        self._journal = journal
        self._clock = clock
        self._on_stored = on_stored
        self._on_failed = on_failed
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="journal")
        self._queue: list[_Waiter] = []
        self._is_flushing = False
        self._is_closed = False
        self._idle: asyncio.Future[None] | None = None

    async def commit(self, rows: Sequence[Row]) -> None:
        """Store rows; return after the fdatasync that covers them.

        A caller that is cancelled takes nothing back: its rows are stored all the same.

        Raises:
            OSError: none of the rows is stored, nor any other of the same flush.
            TypeError: a row is not JSON.
            RuntimeError: closed.
        """
        lines = encode_rows(rows)
        await self.commit_late(lambda: lines)

    async def commit_late(self, prepare: Callable[[], bytes]) -> None:
        """As `commit`, for lines that depend on what is stored before them.

        `prepare` gives whole lines; it is called once, when every earlier row is durable or in the
        same flush. If it gives nothing, the caller still waits for that flush; if it raises, only
        its caller learns of it, so it must not have changed anything by then.
        """
        if self._is_closed:
            raise RuntimeError("the journal is closed")
        waiter = _Waiter(prepare=prepare, done=asyncio.get_running_loop().create_future())
        self._queue.append(waiter)
        if not self._is_flushing:
            self._is_flushing = True
            # after everything that is ready in this turn of the loop has queued up
            waiter.done.get_loop().call_soon(self._flush)
        await waiter.done

    async def close(self) -> None:
        """Refuse more, store what waits, give thread and file back."""
        self._is_closed = True
        if self._is_flushing:
            self._idle = asyncio.get_running_loop().create_future()
            await self._idle
        self._thread.shutdown()
        self._journal.close()

    def _flush(self) -> None:
        batch, self._queue = self._queue, []
        waiters: list[_Waiter] = []
        lines: list[bytes] = []
        for waiter in batch:
            try:
                lines.append(waiter.prepare())
            except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
                _resolve(waiter, error)  # harms nobody else
                continue
            waiters.append(waiter)
        blob = b"".join(lines)
        if blob:
            loop = waiters[0].done.get_loop()
            work = loop.run_in_executor(self._thread, self._store, blob)
            work.add_done_callback(lambda done: self._flushed(waiters, done))
        else:
            for waiter in waiters:
                _resolve(waiter, None)
            self._next()

    def _store(self, lines: bytes) -> Position:
        return self._journal.append_lines(lines, at_ms=self._clock.now_ms())

    def _flushed(self, waiters: Sequence[_Waiter], work: asyncio.Future[Position]) -> None:
        error = asyncio.CancelledError() if work.cancelled() else work.exception()
        try:
            if error is None:
                self.flush_count += 1
                if self._on_stored is not None:
                    self._on_stored(work.result())
            elif self._on_failed is not None:
                self._on_failed()
        finally:
            for waiter in waiters:
                _resolve(waiter, error)
            self._next()

    def _next(self) -> None:
        if self._queue:
            self._flush()
            return
        self._is_flushing = False
        if self._idle is not None and not self._idle.done():
            self._idle.set_result(None)


def _resolve(waiter: _Waiter, error: BaseException | None) -> None:
    if waiter.done.done():  # its caller was cancelled
        return
    if error is None:
        waiter.done.set_result(None)
    else:
        waiter.done.set_exception(error)
