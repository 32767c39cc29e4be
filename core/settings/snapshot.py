"""The settings of one cycle: one immutable snapshot of all configuration files together."""

from dataclasses import dataclass, fields, replace
from hashlib import sha256
from ipaddress import ip_address
from types import MappingProxyType
from typing import Any, Final

import orjson

from core.home import Home
from core.settings import account, engine, signals
from core.settings.account import AccountConfig, BittensorCredentials, Credentials
from core.settings.engine import EngineConfig
from core.settings.files import ConfigFile, FileKind, Reading
from core.settings.signals import AssetMapping, SymbolWeights
from core.settings.validation import SECRET_KEYS, ConfigProblem

CREDENTIALS: Final = FileKind(
    name=account.FILE,
    parse=account.parse_credentials,
    empty=Credentials(),
    remedy_when_missing="run ./trade-engine up for an example, then edit it",
    is_secret=True,
)
MAPPING: Final[FileKind[AssetMapping]] = FileKind(
    name=signals.MAPPING_FILE,
    parse=signals.parse_mapping,
    empty=MappingProxyType({}),
    remedy_when_missing="run ./trade-engine up for an example, then edit it",
)
WEIGHTS: Final[FileKind[tuple[SymbolWeights, ...]]] = FileKind(
    name=signals.WEIGHTS_FILE,
    parse=signals.parse_weights,
    empty=(),
    remedy_when_missing="run ./trade-engine up for an example, then edit it",
)
ENGINE: Final = FileKind(
    name=engine.FILE,
    parse=engine.parse_engine_config,
    empty=EngineConfig(),
    remedy_when_missing="",  # the empty token refuses every alert, nothing else needs the file
    is_secret=True,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything people configured, as it is in force."""

    accounts: tuple[AccountConfig, ...]
    mapping: AssetMapping
    weights: tuple[SymbolWeights, ...]
    engine: EngineConfig
    bittensor: BittensorCredentials | None = None
    problems: tuple[ConfigProblem, ...] = ()
    hash: str = ""  # sha256 of the content in force, secrets left out

    def account(self, name: str) -> AccountConfig | None:
        """Find an account by name."""
        return next((row for row in self.accounts if row.name == name), None)

    def symbol_weights(self, symbol: str) -> SymbolWeights | None:
        """Find the weights of a symbol; None = it has no target."""
        return next((row for row in self.weights if row.symbol == symbol), None)


class SettingsReader:
    """Gives the settings in force; with no file changed it costs four `stat` calls.

    With `is_keeping_accounts` the accounts stay those of the first read: a change of
    credentials.json needs a restart of the service and is told as a problem until then.
    """

    def __init__(self, home: Home, *, is_keeping_accounts: bool = False) -> None:
        where = (home.root, home.last_good)
        self._credentials = ConfigFile(CREDENTIALS, *where)
        self._mapping = ConfigFile(MAPPING, *where)
        self._weights = ConfigFile(WEIGHTS, *where)
        self._engine = ConfigFile(ENGINE, *where)
        self._is_keeping_accounts = is_keeping_accounts
        self._first: Credentials | None = None
        self._readings: tuple[Reading[Any], ...] = ()
        self._settings: Settings | None = None

    @property
    def file_reads(self) -> int:
        """How often the bytes of a file were read so far."""
        files = (self._credentials, self._mapping, self._weights, self._engine)
        return sum(file.reads for file in files)

    def read(self) -> Settings:
        """Give the settings in force, the same object while nothing changed.

        Raises ConfigError when a file is invalid and there never was a good one.
        """
        credentials, mapping = self._credentials.read(), self._mapping.read()
        weights, engine_config = self._weights.read(), self._engine.read()
        readings = (credentials, mapping, weights, engine_config)
        is_same = len(self._readings) == len(readings) and all(
            now is before for now, before in zip(readings, self._readings, strict=True)
        )
        if self._settings is None or not is_same:
            keys, kept = self._keys(credentials.content)
            problems = [problem for reading in readings for problem in reading.problems]
            settings = Settings(
                accounts=keys.accounts,
                mapping=mapping.content,
                weights=weights.content,
                engine=engine_config.content,
                bittensor=keys.bittensor_sn8,
                problems=(*problems, *kept, *_cautions(engine_config.content)),
            )
            self._settings = replace(settings, hash=_hash(settings))
            self._readings = readings
        return self._settings

    def read_engine(self) -> EngineConfig:
        """Give engine_config.json alone, for what must live while other files are broken.

        Raises ConfigError when it is invalid itself and there never was a good one.
        """
        return self._engine.read().content

    def _keys(self, now: Credentials) -> tuple[Credentials, tuple[ConfigProblem, ...]]:
        if self._first is None or not self._is_keeping_accounts:
            self._first = now
        if now == self._first:
            return self._first, ()
        problem = ConfigProblem(
            file=account.FILE,
            key="",
            text="credentials changed since this service started",
            remedy="run ./trade-engine restart trade-engine",
            severity="warning",
        )
        return self._first, (problem,)


def load_settings(home: Home) -> Settings:
    """Read the settings once. Raises ConfigError when there is no good version of a file."""
    return SettingsReader(home).read()


def _hash(settings: Settings) -> str:
    content = {
        row.name: _bare(getattr(settings, row.name))
        for row in fields(settings)
        if row.name not in ("problems", "hash")
    }
    return sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _bare(value: Any) -> Any:  # noqa: ANN401 - any part of the settings
    """Turn settings into JSON values without secrets."""
    if hasattr(value, "model_dump"):
        value = value.model_dump(mode="json")
    if isinstance(value, dict | MappingProxyType):
        return {key: _bare(row) for key, row in value.items() if key not in SECRET_KEYS}
    if isinstance(value, list | tuple):
        return [_bare(row) for row in value]
    return value


def _cautions(config: EngineConfig) -> tuple[ConfigProblem, ...]:
    host = config.monitor.host
    try:
        is_local = host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        is_local = False
    if is_local:
        return ()
    problem = ConfigProblem(
        file=engine.FILE,
        key="monitor.host",
        text=f"monitor listens on {host}: whoever reaches it reads your positions",
        remedy="set it to 127.0.0.1, and put a proxy with a password in front",
        severity="warning",
    )
    return (problem,)
