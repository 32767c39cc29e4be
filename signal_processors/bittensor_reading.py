"""What a validator is asked for, understood: positions, statistics, eliminations.

Fetches and decodes off the loop; judges nothing. What is unchanged is not decoded again.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping

from core.errors import TradeEngineError
from signal_processors.bittensor_access import Kind
from signal_processors.bittensor_client import NotAvailableError, ValidatorClient
from signal_processors.bittensor_model import Snapshot, Statistics
from signal_processors.bittensor_payload import Judge, PayloadError, read_positions
from signal_processors.bittensor_statistics import read_eliminations, read_statistics

log = logging.getLogger(__name__)


class Reader:
    """Reads one validator; `problems` tells by kind of data what went wrong last."""

    def __init__(self, client: ValidatorClient, judge: Callable[[], Judge]) -> None:
        self.problems: dict[str, str] = {}
        self.unavailable: dict[str, str] = {}  # nothing is wrong: this access does not have it
        self.snapshot: Snapshot | None = None
        self._client = client
        self._judge = judge
        self._judged_by: frozenset[str] = frozenset()

    async def positions(self) -> tuple[Snapshot, int]:
        """Read a snapshot, the same object while the validator's file is the same; and when.

        Raises TradeEngineError: there is no snapshot to be had now.
        """
        judge = self._judge()
        pairs = frozenset(judge.pairs)
        if self.snapshot is None or pairs != self._judged_by:
            self._client.forget("positions")
        try:
            fetched = await self._client.fetch("positions")
            if not fetched.is_unchanged or self.snapshot is None:
                self.snapshot = await asyncio.to_thread(read_positions, fetched.body, judge)
                self._judged_by = pairs
        except TradeEngineError as error:
            self._note("positions", error)
            raise
        self.problems.pop("positions", None)
        return self.snapshot, fetched.fetched_at_ms

    async def statistics(self, known: Statistics | None) -> Statistics | None:
        """Read statistics; what is known stays where nothing newer is to be had."""
        body = await self._body("statistics", is_known=known is not None)
        if body is None:
            return known
        try:
            return await asyncio.to_thread(read_statistics, body)
        except PayloadError as error:
            self._note("statistics", error)
            return known

    async def eliminations(self, known: Mapping[str, str]) -> Mapping[str, str]:
        """Read who is eliminated; what is known stays where nothing newer is to be had."""
        body = await self._body("eliminations", is_known=bool(known))
        if body is None:
            return known
        try:
            return await asyncio.to_thread(read_eliminations, body)
        except PayloadError as error:
            self._note("eliminations", error)
            return known

    async def _body(self, kind: Kind, *, is_known: bool) -> bytes | None:
        """Give a body that is new; None = nothing new, or it failed and is told."""
        if not is_known:
            self._client.forget(kind)
        try:
            fetched = await self._client.fetch(kind)
        except NotAvailableError as error:
            self.unavailable[kind] = str(error)
            return None
        except TradeEngineError as error:
            self._note(kind, error)
            return None
        self.problems.pop(kind, None)
        return None if fetched.is_unchanged else fetched.body

    def _note(self, kind: Kind, error: TradeEngineError) -> None:
        self._client.forget(kind)
        if self.problems.get(kind) != str(error):
            log.warning("not read", extra={"kind": kind, "reason": str(error)})
        self.problems[kind] = str(error)
