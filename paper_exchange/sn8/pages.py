"""What each route gives to somebody who may come in. Knows nothing of keys and misbehaviours."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace

from aiohttp import web

from paper_exchange.sn8.answers import Answer, error, file_answer, json_answer
from paper_exchange.sn8.bodies import unpacked
from paper_exchange.sn8.files import without_checkpoints
from paper_exchange.sn8.report import eliminations_json, selections_json, statistics_json
from paper_exchange.sn8.shapes import trade_pairs_json
from paper_exchange.sn8.tampering import tampered_statistics
from paper_exchange.sn8.tiers import TIERS, TOP_TIER
from paper_exchange.sn8.validator import Validator

Page = Callable[[web.Request, int], Awaitable[Answer]]  # the request and the key's tier


class Pages:
    """All routes by path; True = they need a key."""

    def __init__(self, validator: Validator) -> None:
        self._validator = validator

    def table(self) -> list[tuple[str, Page, bool]]:
        """Path, page, whether a key is needed."""
        return [
            ("/miner-positions", self.positions, True),
            ("/miner-positions/{hotkey}", self.positions_of_one, True),
            ("/miner-hotkeys", self.hotkeys, True),
            ("/statistics", self.statistics, True),
            ("/statistics/{hotkey}/", self.statistics_of_one, True),
            ("/eliminations", self.eliminations, True),
            ("/miner-selections", self.selections, True),
            ("/trade-pairs", self.trade_pairs, False),
            ("/api/health", self.health, False),
        ]

    async def positions(self, request: web.Request, tier: int) -> Answer:
        """All miners, of the tier that is asked for."""
        wanted = request.query.get("tier", str(TOP_TIER))
        if wanted not in map(str, TIERS):
            return error(400, "Invalid tier value. Allowed values are 0, 30, 50, or 100")
        if int(wanted) > tier:
            return error(403, f"Your API key does not have access to tier {wanted} data")
        packed = await asyncio.to_thread(self._validator.files.positions, int(wanted))
        return file_answer(packed, "Data not found")

    async def positions_of_one(self, request: web.Request, tier: int) -> Answer:
        """One miner: live for a full key, else as its tier shows it."""
        hotkey = request.match_info["hotkey"]
        files = self._validator.files
        if tier < TOP_TIER and files.built_ms is None:
            return error(404, "Data not found")
        if tier < TOP_TIER:
            packed = await asyncio.to_thread(files.positions, tier)
            document = json.loads(unpacked(packed or b""))
            found = document.get(hotkey)
            return json_answer(found) if found else error(404, f"Miner ID {hotkey} not found")
        view = self._validator.view()
        one = tuple(row for row in view.miners if row.hotkey == hotkey)
        found = files.live(replace(view, miners=one), tier).get(hotkey)
        if not found:
            return error(404, f"Miner ID {hotkey} not found")
        return Answer(body=view.encode(found))

    async def hotkeys(self, _: web.Request, __: int) -> Answer:
        """Who has at least one position."""
        view = self._validator.view()
        document = await asyncio.to_thread(self._validator.files.live, view, TOP_TIER)
        return json_answer(list(document)) if document else error(404, "No miner hotkeys found")

    async def statistics(self, request: web.Request, _: int) -> Answer:
        """All statistics."""
        packed = await asyncio.to_thread(
            self._validator.files.statistics, has_checkpoints=_wants_checkpoints(request)
        )
        return file_answer(packed, "Statistics data not found")

    async def statistics_of_one(self, request: web.Request, _: int) -> Answer:
        """One miner's statistics."""
        if self._validator.files.built_ms is None:
            return error(404, "Statistics data not found")
        view = self._validator.view()
        document = await asyncio.to_thread(statistics_json, view.judged, view.seed, view.at_ms)
        document = tampered_statistics(document, view.tampering)
        if not _wants_checkpoints(request):
            document = without_checkpoints(document)
        hotkey = request.match_info["hotkey"]
        found = next((row for row in document["data"] if row["hotkey"] == hotkey), None)
        if found is None:
            return error(404, f"Miner ID {hotkey} not found")
        return Answer(body=view.encode(found))

    async def eliminations(self, _: web.Request, __: int) -> Answer:
        """Who was eliminated; never packed."""
        return json_answer(eliminations_json(self._validator.eliminations))

    async def selections(self, _: web.Request, __: int) -> Answer:
        """Which asset class each miner chose."""
        now_ms = self._validator.clock.now_ms()
        return json_answer(selections_json(self._validator.miners.values(), now_ms))

    async def trade_pairs(self, request: web.Request, tier: int) -> Answer:
        """What may be traded; older validators do not say."""
        if self._validator.options.dialect == "ptn":
            return await self.nothing(request, tier)
        return json_answer(trade_pairs_json(self._validator.clock.now_ms()))

    async def health(self, _: web.Request, __: int) -> Answer:
        """That it runs."""
        at_s = self._validator.clock.now_ms() / 1000
        return json_answer(
            {"status": "healthy", "service": "ValidatorRestServer", "timestamp": at_s}
        )

    async def nothing(self, _: web.Request, __: int) -> Answer:
        """What every other path gives."""
        return error(404, "Resource not found")


def _wants_checkpoints(request: web.Request) -> bool:
    return request.query.get("checkpoints", "true").lower() != "false"
