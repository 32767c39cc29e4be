"""Keys and modes that `check` must tell before anything is traded: A15, C3."""

import pytest

from core.home import Home
from tests.check_scene import check_scene

Capture = pytest.CaptureFixture[str]


async def test_c3_a_key_that_may_withdraw_is_refused_or_told_as_unknown(
    home: Home, capsys: Capture, venue: str
) -> None:
    """A key could withdraw, and nobody was told.

    Must happen: the check fails unless told otherwise; where the venue does not say it, it is
    unknown and never "no".
    """
    async with check_scene(home, capsys) as scene:
        scene.configure((venue,))
        scene.server.set_rights(venue, can_withdraw=True)
        refused = await scene.check()
        allowed = await scene.check("--allow-withdraw-keys")

        told = {"bybit": "FAIL", "kucoin": "FAIL"}.get(venue, "unknown")
        assert refused.state(venue, "right to withdraw") == told
        assert refused.code == (3 if told == "FAIL" else 0)
        assert allowed.code == 0
        assert allowed.state(venue, "right to withdraw") != "ok"


async def test_a15_check_detects_a_hedge_mode_account(
    home: Home, capsys: Capture, venue: str
) -> None:
    """The account was in hedge mode, and nobody knew.

    Must happen: the check names the mode, as supported or as refused.
    """
    async with check_scene(home, capsys) as scene:
        scene.configure((venue,))
        before = await scene.check()
        scene.hedge(venue)
        after = await scene.check()

        assert before.row(venue, "position mode")["detail"] == "one-way"
        assert "hedge" in after.row(venue, "position mode")["detail"]
        assert (before.code, after.code) == (0, 0)
