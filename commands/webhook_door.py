"""Asks the receiver whether it is there and takes our token, without giving it a signal.

The token is shown with a body that is announced as too large: the receiver judges the token first,
refuses the size next (413), and neither stores nor counts anything.
"""

from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import Any, Final
from urllib.parse import urlsplit

from core.home import Home
from core.process.service_status import read_status
from core.settings.engine import WebhookConfig

RECEIVER: Final = "tradingview-endpoint"
TIMEOUT_S: Final = 5
TOO_LARGE: Final = "1000000"
ANSWERS: Final = {
    413: ("ok", "the token is accepted"),
    401: ("failed", "the token is not accepted: ./trade-engine restart tradingview-endpoint"),
    403: ("unknown", "this machine is not in webhook.allow_ips, so the token was not looked at"),
    429: ("unknown", "too many wrong tokens came from this machine: try again in a minute"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Knock:
    """What the receiver answered to one question; `state` is ok, failed or unknown."""

    what: str
    state: str
    detail: str

    def to_row(self) -> dict[str, Any]:
        """Give its JSON object."""
        return {"what": self.what, "state": self.state, "detail": self.detail}


def base_url(home: Home, config: WebhookConfig) -> str:
    """Tell where the receiver listens, or would: the wished port may have been busy."""
    told = read_status(home, RECEIVER).get("url")
    return str(told or f"http://{config.host}:{config.port}")


def knock(home: Home, config: WebhookConfig) -> list[Knock]:
    """Ask whether it is there, and whether it takes our token."""
    url = base_url(home, config)
    status, trouble = _ask(url, "GET", "/ping", {})
    if status != 200:  # noqa: PLR2004 - HTTP's
        told = trouble or f"HTTP {status}"
        detail = f"{RECEIVER} does not answer at {url} ({told}): ./trade-engine up"
        return [Knock(what="receiver", state="failed", detail=detail)]
    found = [Knock(what="receiver", state="ok", detail=f"answers at {url}")]
    token = config.token.get_secret_value()
    if not token:
        detail = "webhook.token is empty (engine_config.json): ./trade-engine up makes one"
        return [*found, Knock(what="token", state="failed", detail=detail)]
    headers = {"Content-Length": TOO_LARGE}
    status, trouble = _ask(url, "POST", f"/webhook/{token}", headers)
    state, detail = ANSWERS.get(status, ("unknown", trouble or f"it answered HTTP {status}"))
    return [*found, Knock(what="token", state=state, detail=detail)]


def _ask(url: str, method: str, path: str, headers: dict[str, str]) -> tuple[int, str]:
    """Give the HTTP status, or 0 and what went wrong."""
    where = urlsplit(url)
    connection = HTTPConnection(where.hostname or "127.0.0.1", where.port, timeout=TIMEOUT_S)
    try:
        connection.putrequest(method, path)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        return connection.getresponse().status, ""
    except (OSError, HTTPException) as error:
        return 0, str(error) or type(error).__name__
    finally:
        connection.close()
