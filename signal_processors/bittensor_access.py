"""Where the SN8 data is and by which key: addresses, headers, and an HTTP session to reach it.

The key leaves only in a request; no text made here bears it, nor the rest of an address: keys are
pasted into paths and queries too.
"""

import re
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Final, Literal
from urllib.parse import quote, quote_plus

import aiohttp
import certifi
import msgspec
from pydantic import SecretStr
from yarl import URL

from core.errors import ConfigError

AuthStyle = Literal["bearer", "request_network", "legacy_body"]
Kind = Literal["positions", "statistics", "eliminations"]

POSITIONS_PATH: Final = "/miner-positions"
PATHS: Final[dict[Kind, str]] = {
    "positions": POSITIONS_PATH,
    "statistics": "/statistics",
    "eliminations": "/eliminations",
}
PLACE: Final = "credentials.json: bittensor_sn8"
REQUEST_NETWORK_HEADER: Final = "x-taoshi-consumer-request-key"
PUBLIC_PARAMS: Final = frozenset({"tier", "checkpoints"})
KEEP_ALIVE_S: Final = 75  # beyond the 60 s between two snapshots
CONNECTIONS: Final = 4
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
SAID_CHARACTERS: Final = 160


class RedirectedError(aiohttp.ClientError):
    """The server pointed to another one, which is not to get the key."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Access:
    """An address of the data and what opens it. Raises ConfigError for an unusable address."""

    endpoint: str  # the API's base, or the whole URL of /miner-positions
    api_key: SecretStr
    websocket: str | None = None
    auth_style: AuthStyle = "bearer"
    tier: int = 100  # 0, 30, 50 or 100: what is asked for

    def __post_init__(self) -> None:
        _require_address(self.endpoint, "endpoint", ("http", "https"))
        if self.websocket is not None:
            _require_address(self.websocket, "websocket", ("ws", "wss"))
        key = self.api_key.get_secret_value()
        if not _is_one_word(key):
            raise ConfigError(f"the key must be one word of plain letters ({PLACE}.api_key)")

    def __repr__(self) -> str:
        push = self.websocket_host or "none"
        words = f"{self.host}, {self.auth_style}, tier {self.tier}, websocket: {push}"
        return f"Access({words})"

    @property
    def host(self) -> str:
        """The part of the endpoint that may be shown: scheme, host and port."""
        return str(URL(self.endpoint, encoded=True).origin())

    @property
    def websocket_host(self) -> str:
        """The part of the websocket's address that may be shown; "" = there is none."""
        return str(URL(self.websocket, encoded=True).origin()) if self.websocket else ""

    def url(self, kind: Kind) -> URL | None:
        """Give the address of a kind of data; None = not to be had by this access."""
        given = URL(self.endpoint, encoded=True)
        path = given.raw_path.rstrip("/")
        is_whole = path.endswith(POSITIONS_PATH)
        if self.auth_style == "request_network" or (
            self.auth_style == "legacy_body" and (kind == "positions" or not is_whole)
        ):
            return given if kind == "positions" else None
        base = path.removesuffix(POSITIONS_PATH)
        query = [(name, text) for name, text in given.query.items() if name not in PUBLIC_PARAMS]
        if kind == "positions":
            query.append(("tier", str(self.tier)))
        elif kind == "statistics":
            query.append(("checkpoints", "false"))
        return given.with_path(base + PATHS[kind], encoded=True).with_query(query)

    def headers(self) -> dict[str, str]:
        """Give the headers that bear the key over HTTP."""
        key = self.api_key.get_secret_value()
        if self.auth_style == "legacy_body" or not key:
            return {}
        if self.auth_style == "request_network":
            return {REQUEST_NETWORK_HEADER: key}
        return {"Authorization": f"Bearer {key}"}

    def body(self) -> dict[str, str] | None:
        """Give the JSON body that bears the key over HTTP; None = no body."""
        if self.auth_style != "legacy_body":
            return None
        return {"api_key": self.api_key.get_secret_value()}

    def without_secrets(self, text: str) -> str:
        """Take out of a stranger's text whatever opens the data."""
        for secret in sorted(self._secrets(), key=len, reverse=True):
            text = re.sub(re.escape(secret), "***", text, flags=re.IGNORECASE)
        return text

    def said(self, body: bytes) -> str:
        """Give a server's own words of an error, harmless and short; "" = none."""
        text = body.decode(errors="replace")
        try:
            value = msgspec.json.decode(body)
        except (msgspec.MsgspecError, RecursionError, UnicodeError):
            value = None
        if isinstance(value, dict):
            words = value.get("error", value.get("message", ""))
            text = words if isinstance(words, str) else ""
        elif text.lstrip().startswith("<"):
            text = "a web page"
        return self.harmless(text)

    def harmless(self, text: str) -> str:
        """Make a stranger's text fit to be shown: one short line without secrets."""
        line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        return self.without_secrets(line)[:SAID_CHARACTERS]

    def _secrets(self) -> Iterator[str]:
        given = [self.api_key.get_secret_value()]
        for address in (self.endpoint, self.websocket or ""):
            query = URL(address, encoded=True).query
            given += [text for name, text in query.items() if name not in PUBLIC_PARAMS]
        for secret in filter(None, given):
            yield from {secret, quote(secret), quote(secret, safe=""), quote_plus(secret)}


def open_session(timeout: aiohttp.ClientTimeout) -> aiohttp.ClientSession:
    """Open a session that unpacks nothing, keeps no cookies and stays at home.

    Needs a running loop; the caller closes it.
    """
    connector = aiohttp.TCPConnector(
        ssl=_trusted(), limit_per_host=CONNECTIONS, keepalive_timeout=KEEP_ALIVE_S
    )
    return aiohttp.ClientSession(
        connector=connector,
        timeout=timeout,
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": "trade-engine"},
        middlewares=(_stay_home,),
    )


def why(error: BaseException) -> str:
    """Say what kept us from a server, in words that bear no address."""
    if isinstance(error, RedirectedError):
        return "it redirects to another server"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return "its certificate is not trusted"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "it closed the connection"
    if isinstance(error, OSError) and error.strerror and isinstance(error.errno, int):
        return error.strerror.partition(" [")[0]
    return type(error).__name__


@cache
def _trusted() -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=certifi.where())
    context.load_default_certs()  # the host may trust a validator's own certificate
    return context


async def _stay_home(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    response = await handler(request)
    if response.status in REDIRECTS and not _is_home(request.url, response):
        response.close()
        raise RedirectedError
    return response


def _is_home(url: URL, response: aiohttp.ClientResponse) -> bool:
    place = response.headers.get("Location", response.headers.get("URI", ""))
    try:
        return url.join(URL(place)).origin() == url.origin()
    except ValueError:
        return False


def _require_address(address: str, key: str, schemes: tuple[str, str]) -> None:
    if not _is_address(address, schemes):
        words = f"must be {schemes[0]}:// or {schemes[1]}://, host and path, without user or #"
        raise ConfigError(f"{key} {words} ({PLACE}.{key})")


def _is_address(address: str, schemes: tuple[str, str]) -> bool:
    if not _is_one_word(address):
        return False
    try:
        url = URL(address, encoded=True)
        has_more = url.user or url.password or url.fragment
        return url.scheme in schemes and bool(url.host and url.port) and not has_more
    except ValueError:
        return False


def _is_one_word(text: str) -> bool:
    return all(" " < letter <= "~" for letter in text)
