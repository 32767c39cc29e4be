"""The slim import of ccxt, its fallback, what others see of it; each in a process of its own."""

import os
import subprocess
import sys

COUNT = "sum(name == 'ccxt' or name.startswith('ccxt.') for name in sys.modules)"
MOST_MODULES = 60
# stands for a ccxt whose insides have changed: the first import of one of them fails
BREAK_SLIM_WAY = """
import sys
class Broken:
    def __init__(self):
        self.left = 1
    def find_spec(self, name, path=None, target=None):
        if name == 'ccxt.async_support.base.throttler' and self.left:
            self.left -= 1
            raise AttributeError('insides have changed')
sys.meta_path.insert(0, Broken())
"""
LOAD = """
import sys
from account_processors.transport.ccxt_loading import load
loaded = load('bybit')
"""


def run(script: str) -> str:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(  # noqa: S603 - our own interpreter and script
        [sys.executable, "-W", "error", "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_at_most_sixty_modules_of_ccxt_are_loaded() -> None:
    count = int(run(f"{LOAD}\nprint({COUNT})"))

    assert 0 < count <= MOST_MODULES


def test_opening_every_venue_stays_slim() -> None:
    script = """
import sys
from account_processors import venue_profiles
from account_processors.transport.ccxt_loading import load
assert not any(name.startswith('ccxt') for name in sys.modules), 'discovery imports no ccxt'
for profile in venue_profiles().values():
    assert load(profile.ccxt_id).venue_class.__name__ == profile.ccxt_id
"""

    assert int(run(f"{script}\nprint({COUNT})")) <= MOST_MODULES


def test_a_ccxt_with_other_insides_is_imported_whole() -> None:
    script = f"""
{BREAK_SLIM_WAY}
{LOAD}
import ccxt.async_support
assert ccxt.async_support.bybit is loaded.venue_class
assert issubclass(ccxt.NetworkError, loaded.base_error)
print({COUNT})
"""

    assert int(run(script)) > MOST_MODULES


def test_a_ccxt_that_somebody_imported_whole_is_left_alone() -> None:
    script = f"""
import ccxt.async_support
whole = ccxt.async_support.bybit
package = ccxt
{LOAD}
assert loaded.venue_class is whole
assert sys.modules['ccxt'] is package
print(ccxt.binance.__name__)
"""

    assert run(script) == "binance"


def test_who_imports_ccxt_later_gets_all_of_it() -> None:
    script = f"""
{LOAD}
import ccxt
from ccxt import kraken
import ccxt.async_support as asynchronous
assert ccxt.binance.__name__ == 'binance'
assert asynchronous.bybit is loaded.venue_class
assert ccxt.async_support.kraken is not kraken
assert issubclass(ccxt.RateLimitExceeded, loaded.base_error)
assert type(ccxt).__name__ == 'module'
assert load('kraken').venue_class is asynchronous.kraken
try:
    ccxt.no_such_thing
except AttributeError:
    print('as ever')
"""

    assert run(script) == "as ever"


def test_a_venue_that_ccxt_does_not_have_is_an_import_error() -> None:
    script = f"""
{LOAD}
try:
    load('no_such_venue')
except ImportError as error:
    print('refused')
assert load('bybit').base_error is loaded.base_error
"""

    assert run(script) == "refused"


def test_c2_ccxt_s_debug_log_which_has_keys_stays_off() -> None:
    script = f"""
import logging
logging.basicConfig(level=logging.DEBUG)
{LOAD}
print(logging.getLogger('ccxt.base.exchange').isEnabledFor(logging.DEBUG))
"""

    assert run(script) == "False"
