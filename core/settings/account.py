"""`credentials.json`: the accounts and their keys, the old shape of one object per exchange too."""

from decimal import Decimal
from ipaddress import ip_address
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationInfo, field_validator, model_validator

from core.process.key_lease import key_fingerprint
from core.settings.validation import (
    ConfigModel,
    ConfigProblem,
    InvalidFileError,
    Name,
    Number,
    validate,
)

FILE: Final = "credentials.json"
SN8_KEY: Final = "bittensor_sn8"
TIERS: Final = frozenset({"0", "30", "50", "100"})  # older files hold them as text

Environment = Literal["paper", "demo", "live"]
AccountName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.@-]{0,39}$")]


class AccountConfig(ConfigModel):
    """One account at one venue."""

    name: AccountName
    exchange: Name
    api_key: SecretStr = SecretStr("")
    api_secret: SecretStr = SecretStr("")
    api_passphrase: SecretStr | None = None
    enabled: bool = True
    environment: Environment
    base_url: str | None = None  # any host that speaks the venue's protocol
    margin_mode: Literal["keep", "isolated", "cross"] = "keep"
    allow_reopen: bool = False  # may close and reopen to change the margin mode or leverage
    position_mode: Literal["one_way"] = "one_way"
    equity_scope: Literal["usdt", "account"] = "usdt"
    leverage_override: Annotated[Number, Field(ge=1, le=20)] | None = None
    copy_trading: bool = False
    min_order_notional_usdt: Annotated[Number, Field(ge=0, le=Decimal(1_000_000))] | None = None

    @field_validator("base_url")
    @classmethod
    def _is_http(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError("must begin with http:// or https://")
        return value.rstrip("/") if value else None

    @property
    def is_configured(self) -> bool:
        """Tell whether it has a key and a secret at all."""
        return bool(self.api_key.get_secret_value() and self.api_secret.get_secret_value())

    @property
    def is_elsewhere(self) -> bool:
        """Tell whether `base_url` is a host beyond this machine: it may be the venue itself."""
        host = urlsplit(self.base_url or "").hostname
        return host is not None and not _is_loopback(host)

    @property
    def needs_arming(self) -> bool:
        """Tell whether its orders may move real money, whatever its environment is called."""
        return self.environment == "live" or self.is_elsewhere

    @property
    def is_paper(self) -> bool:
        """Tell whether it certainly trades on paper."""
        return self.environment == "paper" and not self.is_elsewhere

    @property
    def fingerprint(self) -> str:
        """Name the API key without telling it: 16 hex digits."""
        return key_fingerprint(self.exchange, self.api_key.get_secret_value())


class BittensorCredentials(ConfigModel):
    """Access to the SN8 data API; in `paper` to the simulated one of our paper exchange."""

    api_key: SecretStr = SecretStr("")
    environment: Literal["paper", "live"] = "live"  # paper: only paper accounts follow it
    endpoint: str = Field(default="", repr=False)  # an address may carry a secret
    websocket: str | None = Field(default=None, repr=False)
    auth_style: Literal["bearer", "request_network", "legacy_body"] = "bearer"
    tier: Literal[0, 30, 50, 100] = 100

    @field_validator("auth_style", "tier", mode="before")
    @classmethod
    def _read_empty_as_default(cls, value: object, info: ValidationInfo) -> object:
        text = value.strip() if isinstance(value, str) else value
        if text == "":
            return cls.model_fields[info.field_name or ""].default
        if isinstance(text, bool):  # would pass for 0
            return str(text)
        return int(text) if isinstance(text, str) and text in TIERS else text

    @field_validator("endpoint", "websocket")
    @classmethod
    def _without_last_slash(cls, value: str | None) -> str | None:
        return value.rstrip("/") if value else value

    @field_validator("websocket")
    @classmethod
    def _read_empty_as_none(cls, value: str | None) -> str | None:
        return value or None

    @model_validator(mode="after")
    def _has_addresses(self) -> "BittensorCredentials":
        # judged here and not at the fields: a field's error would repeat what may be a pasted key
        if self.endpoint and not _is_address(self.endpoint, "http", "https"):
            raise ValueError("needs an endpoint that begins with http:// or https://")
        if self.websocket and not _is_address(self.websocket, "ws", "wss"):
            raise ValueError("needs a websocket that begins with ws:// or wss://")
        return self

    @property
    def is_configured(self) -> bool:
        """Tell whether it has a key, and an endpoint where none is known otherwise."""
        has_endpoint = bool(self.endpoint) or self.environment == "paper"
        return bool(self.api_key.get_secret_value()) and has_endpoint


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_address(text: str, *schemes: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:  # its words may repeat the text
        return False


class Credentials(ConfigModel):
    """All of `credentials.json`."""

    bittensor_sn8: BittensorCredentials | None = None
    accounts: tuple[AccountConfig, ...] = ()


def parse_credentials(value: object) -> Credentials:
    """Build from parsed JSON, old shape or new. Raises InvalidFileError."""
    credentials = validate(Credentials, migrated(value), FILE)
    _refuse_duplicates(credentials.accounts)
    return credentials


def migrated(value: object) -> object:
    """Turn `{"bybit": {"api_key", ...}}` into a live account (dry-run until armed) of that name."""
    if not isinstance(value, dict):
        return value
    old = {
        key: row
        for key, row in value.items()
        if key not in Credentials.model_fields and isinstance(row, dict) and "api_key" in row
    }
    if not old:
        return value
    rest = {key: row for key, row in value.items() if key not in old}
    accounts = rest.get("accounts", [])
    if not isinstance(accounts, list):
        return value
    return {**rest, "accounts": [*accounts, *(_old_account(key, row) for key, row in old.items())]}


def _old_account(exchange: str, row: dict[str, Any]) -> dict[str, Any]:
    return {"name": exchange, "exchange": exchange, "environment": "live", **row}


def _refuse_duplicates(accounts: tuple[AccountConfig, ...]) -> None:
    names: set[str] = set()
    keys: dict[tuple[str, str], str] = {}
    for account in accounts:
        if account.name in names:
            raise _duplicate(account.name, "name is used twice", "give each account its own name")
        names.add(account.name)
        if not (account.enabled and account.is_configured):
            continue
        # two lanes on one account would each bring it to the full target
        other = keys.setdefault((account.environment, account.fingerprint), account.name)
        if other != account.name:
            text = f"api_key is the same as that of account {other}"
            raise _duplicate(account.name, text, "disable one of the two")


def _duplicate(name: str, text: str, remedy: str) -> InvalidFileError:
    return InvalidFileError([ConfigProblem(file=FILE, key=name, text=text, remedy=remedy)])
