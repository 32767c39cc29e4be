"""Which texts of the configuration are secrets: what leaves this machine is masked by them."""

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from core.process.logs import register_secret
from core.settings import Settings
from core.settings.engine import EngineConfig

SHORTEST_PART: Final = 8
"""Characters: a shorter part of an address is a word, a port, a name of a room."""
ORDINARY: Final = frozenset(
    {
        *("trade-engine", "trade_engine", "tradeengine", "tradingview", "tradingview-endpoint"),
        *("bittensor", "bittensor-signals", "paper-exchange", "execute_trades", "monitor"),
        *("localhost", "localdomain", "services", "webhooks", "webhookb2", "workflows"),
        *("triggers", "invoke", "messages", "channels", "notifications", "notification"),
        *("sendmessage", "incoming", "incomingwebhook", "markdown", "truncate", "automatic"),
    }
)
"""Words that stand in logs for what they say, small letters: masking them would hide what happened
and no service makes one a token."""
MACHINE_FIRST: Final = frozenset(
    {
        *("http", "https", "json", "jsons", "xml", "xmls", "form", "forms"),
        *("apprise", "apprises", "bark", "barks", "gotify", "gotifys", "growl"),
        *("hassio", "hassios", "irc", "ircs", "kodi", "kodis", "mailto", "mailtos"),
        *("mastodon", "mastodons", "misskey", "misskeys", "mmost", "mmosts", "mqtt", "mqtts"),
        *("nctalk", "nctalks", "ncloud", "nclouds", "rocket", "rockets", "signal", "signals"),
        *("synology", "synologys", "toot", "toots", "workflow", "workflows", "xmpp", "xmpps"),
    }
)
"""Schemes of addresses whose first part names a machine; any other may begin with its token."""
MACHINE_BEFORE_PATH: Final = frozenset(
    {*("ntfy", "ntfys", "matrix", "matrixs", "notica", "noticas", "pushdeer", "pushdeers")}
)
"""The same where a path follows; alone it is a token or topic."""
MACHINE: Final = re.compile(
    r"(?:(?:[a-z0-9-]{1,24}\.)+[a-z]{2,24}|\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-f:.]+\])(?::\d+)?"
)
"""What a machine's name looks like, and a token hardly ever."""
PLAIN_WORD: Final = re.compile(r"(?=.{1,12}$)[a-z]+(?:[-_][a-z]+)*")
"""What folders are named: a service that one finds by its machine's name has longer tokens."""


def mask_secrets(settings: Settings) -> None:
    """Mask every secret of these settings in all that this process writes or sends."""
    for secret in (*secrets_of_accounts(settings), *secrets_of_engine(settings.engine)):
        register_secret(secret)


def secrets_of_accounts(settings: Settings) -> Iterator[str]:
    """Give every key, secret and passphrase, and SN8's access."""
    for account in settings.accounts:
        yield account.api_key.get_secret_value()
        yield account.api_secret.get_secret_value()
        if account.api_passphrase is not None:
            yield account.api_passphrase.get_secret_value()
    if settings.bittensor is not None:
        yield settings.bittensor.api_key.get_secret_value()


def secrets_of_engine(config: EngineConfig) -> Iterator[str]:
    """Give the webhook's token and what is secret in the channels' addresses."""
    yield config.webhook.token.get_secret_value()
    for channel in config.notifications.channels:
        yield from parts_of_address(channel.url.get_secret_value())


def parts_of_address(url: str) -> Iterator[str]:
    """Give an address and its parts that may be secrets: libraries repeat parts, not the whole.

    Names of machines and ordinary words are none.
    """
    yield url
    scheme, _, without_scheme = url.partition("://")
    try:
        parts = urlsplit("x://" + without_scheme)
    except ValueError:  # a bracket that opens no address
        yield without_scheme
        return
    words = list(_words(scheme.lower(), parts))
    folders = parts.path.split("/") if scheme.lower() in MACHINE_FIRST else []
    if any(not _is_ordinary(word) for word in words):
        bare = without_scheme.strip("/")
        yield from (form for form in (without_scheme, bare) if _may_be_secret(form))
    if parts.password and not _is_ordinary(parts.password):
        yield from {parts.password, unquote(parts.password)}
    plain = {word for word in folders if PLAIN_WORD.fullmatch(word)}
    for word in set(words) - plain:
        yield from {form for form in (word, unquote(word)) if _may_be_secret(form)}


def _words(scheme: str, parts: SplitResult) -> Iterator[str]:
    login, _, host = parts.netloc.rpartition("@")
    yield from login.split(":")
    yield from parts.path.split("/")
    for _, value in parse_qsl(parts.query):
        yield value
    yield parts.fragment
    if not _is_machine(scheme, host, parts.path):
        yield from (host, *host.split(":"))


def _is_machine(scheme: str, host: str, path: str) -> bool:
    if scheme in MACHINE_FIRST or MACHINE.fullmatch(host):
        return True
    return scheme in MACHINE_BEFORE_PATH and bool(path.strip("/"))


def _may_be_secret(word: str) -> bool:
    return len(word) >= SHORTEST_PART and not _is_ordinary(word)


def _is_ordinary(word: str) -> bool:
    return not word or word.lower() in ORDINARY
