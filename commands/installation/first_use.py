"""The example configuration of a first start: paper accounts and signals, two symbols, a token.

Never touches a file that is there, nor one whose last good copy is: somebody's own configuration
that got lost must not come back as our example.
"""

import secrets
from collections.abc import Callable
from typing import Any

from account_processors import venue_profiles
from account_processors.base import Profile
from core.home import Home
from core.settings import EngineConfig
from core.store import atomic_write_json

SYMBOLS = ("BTCUSDT", "ETHUSDT")


def write_examples(home: Home) -> list[str]:
    """Create the folders (0700) and the missing configuration files; return the names written."""
    home.make_folders()
    examples: dict[str, Callable[[], Any]] = {
        home.credentials.name: _credentials,
        home.asset_mapping.name: _asset_mapping,
        home.signal_weights.name: _signal_weights,
        home.engine_config.name: _engine_config,
    }
    written = []
    for name, make in examples.items():
        if (home.root / name).exists() or (home.last_good / name).exists():
            continue
        atomic_write_json(home.root / name, make(), is_indented=True)
        written.append(name)
    return written


def _credentials() -> dict[str, Any]:
    return {
        "bittensor_sn8": {"api_key": secrets.token_hex(9), "environment": "paper"},
        "accounts": [_paper_account(profile) for profile in venue_profiles().values()],
    }


def _paper_account(profile: Profile) -> dict[str, Any]:
    """Make up what the venue asks for: on paper any text will do."""
    lengths = {"api_key": 9, "api_secret": 18, "api_passphrase": 6}
    asked = {name: secrets.token_hex(lengths[name]) for name in profile.credentials.values()}
    return {
        "name": f"paper-{profile.exchange}",
        "exchange": profile.exchange,
        **asked,
        "enabled": True,
        "environment": "paper",
    }


def _asset_mapping() -> dict[str, dict[str, str]]:
    return {
        "tradingview": {symbol: symbol for symbol in SYMBOLS},
        "bittensor": {"BTCUSD": "BTCUSDT", "ETHUSD": "ETHUSDT"},
    }


def _signal_weights() -> list[dict[str, Any]]:
    # ETHUSDT is left to alerts alone, so that a first flat alert ends flat
    heard = {"BTCUSDT": 0.15, "ETHUSDT": 0.0}
    return [
        {
            "symbol": symbol,
            "leverage": 3,
            "sources": [
                {"source": "tradingview", "weight": 0.1},
                {"source": "bittensor", "weight": heard[symbol]},
            ],
        }
        for symbol in SYMBOLS
    ]


def _engine_config() -> dict[str, Any]:
    defaults = EngineConfig()
    return {
        "webhook": {
            "host": defaults.webhook.host,
            "port": defaults.webhook.port,
            "token": secrets.token_urlsafe(32),
        },
        "monitor": {"host": defaults.monitor.host, "port": defaults.monitor.port},
        "paper_exchange": {"port": defaults.paper_exchange.port},
    }
