"""On which venues a drill can occur: everywhere, but for the exceptions here, each with its reason.

A drill that asks for the fixture `venue` runs on all of them; one marked `in_turn` shares its cases
out among the venues, as what it is about (files, alerts) lies before any venue.
"""

from collections.abc import Mapping
from typing import Final

from account_processors import venue_profiles

EVERY: Final = tuple(venue_profiles())

SO_ALREADY: Final = "setting what is set already is an ordinary success there"
WORDS_NOT_NUMBERS: Final = "sides and modes are words there"

# by test, then by venue: why it cannot occur there
EXCEPTIONS: Final[Mapping[str, Mapping[str, str]]] = {
    "test_a6_numbers_of_side_and_margin_mean_what_we_meant": dict.fromkeys(
        ("blofin", "bybit", "kucoin"), WORDS_NOT_NUMBERS
    ),
    "test_a17_a_leverage_that_is_set_already_is_a_success": dict.fromkeys(
        ("blofin", "kucoin", "mexc"), SO_ALREADY
    ),
    "test_a28_half_of_the_smallest_order_goes_by_the_venue_s_own_way_or_is_told": {
        "kucoin": "positions are whole contracts there, and the smallest order is one",
    },
    "test_b17_an_exit_goes_while_entries_wait_for_the_budget": {
        "kucoin": "its pool takes more orders at once than there are symbols",
    },
}


def venues_of(test: str) -> tuple[str, ...]:
    """All venues on which the test of that name runs."""
    return tuple(name for name in EVERY if name not in EXCEPTIONS.get(test, {}))


def is_turn(case: int, cases: int, place: int, places: int) -> bool:
    """Tell whether a case of a shared-out test falls to the venue at that place."""
    if cases >= places:
        return case % places == place
    return case == place % cases
