"""Which texts of the configuration are secrets: what leaves this machine is masked by them."""

from collections.abc import Iterator
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from core.process.logs import register_secret
from core.settings import Settings
from core.settings.engine import EngineConfig

SHORTEST_PART: Final = 8
"""Characters: a shorter part of an address is a word, a port, a name of a room."""


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
    """Give an address and its parts that may be secrets: libraries repeat parts, not the whole."""
    yield url
    without_scheme = url.partition("://")[2]
    yield without_scheme
    try:
        parts = urlsplit("x://" + without_scheme)
    except ValueError:  # a bracket that opens no address
        return
    if parts.password:
        yield from {parts.password, unquote(parts.password)}
    values = [value for _, value in parse_qsl(parts.query)]
    login, _, host = parts.netloc.rpartition("@")
    words = [*login.split(":"), *parts.path.split("/"), *values]
    if "." not in host:  # no name of a machine: some services write their token there
        words.extend((host, *host.split(":")))
    yield from {
        form for word in words if len(word) >= SHORTEST_PART for form in (word, unquote(word))
    }
