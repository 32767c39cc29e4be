"""`trade-engine send-signal`: posts an alert to the receiver over HTTP, as TradingView would."""

from http.client import HTTPConnection, HTTPException
from typing import Annotated, Final
from urllib.parse import urlsplit

import orjson
import typer

from commands.refusal import CheckFailedError, RefusedError
from core.errors import TradeEngineError
from core.home import Home
from core.process.logs import register_secret
from core.process.service_status import read_status
from core.settings import SettingsReader

EXAMPLE: Final = "./trade-engine send-signal --symbol BTCUSDT --direction long --size 10%"
RECEIVER: Final = "tradingview-endpoint"
TIMEOUT_S: Final = 10
DONE: Final = 200


def command(  # noqa: PLR0913 - one option a field of the alert
    *,
    symbol: Annotated[str, typer.Option("--symbol", help="As the source names it: ETHUSDT.")],
    direction: Annotated[str, typer.Option("--direction", help="long, short or flat.")],
    size: Annotated[
        str, typer.Option("--size", help="Share of equity: 5.8/100, 5.8%, or 5.8 (percent).")
    ] = "",
    leverage: Annotated[str, typer.Option("--leverage")] = "",
    price: Annotated[str, typer.Option("--price", help="For the record only.")] = "",
    action: Annotated[str, typer.Option("--action", help="buy or sell.")] = "",
    strategy: Annotated[str, typer.Option("--strategy")] = "",
) -> None:
    """Post an alert to the receiver and print its reply; exit code 3 when it was not accepted."""
    given = {
        "symbol": symbol,
        "direction": direction,
        "size": size,
        "leverage": leverage,
        "price": price,
        "action": action,
        "strategy": strategy,
    }
    alert = {key: value for key, value in given.items() if value}
    status, reply = post(Home.from_environment(), orjson.dumps(alert))
    typer.echo(reply)
    if status != DONE:
        raise CheckFailedError(f"the receiver did not accept it: HTTP {status}")


def post(home: Home, body: bytes) -> tuple[int, str]:
    """Send a body to the receiver of a home; give the HTTP status and the reply.

    Raises RefusedError without a token, TradeEngineError when the receiver does not answer.
    """
    config = SettingsReader(home).read_engine().webhook
    token = config.token.get_secret_value()
    if not token:
        raise RefusedError("webhook.token is empty (engine_config.json): run ./trade-engine up")
    register_secret(token)
    # where it really listens: the wished port may have been busy
    url = urlsplit(read_status(home, RECEIVER).get("url") or f"http://{config.host}:{config.port}")
    connection = HTTPConnection(url.hostname or config.host, url.port, timeout=TIMEOUT_S)
    try:
        headers = {"Content-Type": "application/json"}
        connection.request("POST", f"/webhook/{token}", body=body, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace").strip()
    except (OSError, HTTPException) as error:
        raise TradeEngineError(
            f"{RECEIVER} does not answer at {url.netloc} ({error}): ./trade-engine up"
        ) from error
    finally:
        connection.close()
