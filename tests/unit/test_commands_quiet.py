"""Log lines are off while anybody asked for it, and on again for everybody afterwards."""

import logging

import pytest

from commands.quiet import quiet


def test_two_who_are_quiet_at_once_end_in_any_order_and_leave_nothing_switched_off(
    caplog: pytest.LogCaptureFixture,
) -> None:
    first, second = quiet(), quiet()
    with first:
        second.__enter__()
        logging.getLogger("x").error("not heard")
    logging.getLogger("x").error("not heard either")
    second.__exit__(None, None, None)
    logging.getLogger("x").error("heard")

    assert caplog.messages == ["heard"]
