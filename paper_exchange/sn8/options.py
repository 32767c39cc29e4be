"""What one chooses when a simulated validator is made; all but the seed can be changed later."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal

from core.errors import ConfigError

Dialect = Literal["ptn", "vn"]
AuthStyle = Literal["bearer", "request_network", "legacy_body"]
DIALECTS: Final = ("ptn", "vn")
AUTH_STYLES: Final = ("bearer", "request_network", "legacy_body")
POSITIVE: Final = ("rebuild_every_s",)
MOST_MINERS: Final = 256  # places of a subnet
SHORTEST_S: Final = 0.01
NOT_NEGATIVE: Final = ("change_every_s", "first_build_after_s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sn8Options:
    """How the validator is and who may come in; raises ConfigError for what cannot be."""

    seed: int | None = None  # None: that of the exchange
    miners: int = 40
    keys: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))  # key -> tier
    auth_style: AuthStyle = "bearer"  # a credentials.json says otherwise
    dialect: Dialect = "ptn"
    rebuild_every_s: float = 15.0
    first_build_after_s: float = 0.0  # until then 404 "Data not found"
    change_every_s: float = 20.0  # a change of a position, over all miners; 0 = quiet
    bound_url: str = "/miner-positions?tier=100"  # what a request-network key opens

    def __post_init__(self) -> None:
        if self.auth_style not in AUTH_STYLES:
            raise ConfigError(f"auth_style must be one of {', '.join(AUTH_STYLES)}")
        if self.dialect not in DIALECTS:
            raise ConfigError(f"dialect must be one of {', '.join(DIALECTS)}")
        if not 1 <= self.miners <= MOST_MINERS:
            raise ConfigError(f"miners must be 1..{MOST_MINERS}, was {self.miners}")
        for name in (*POSITIVE, *NOT_NEGATIVE):
            value = getattr(self, name)
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if not is_number or value < 0 or (value == 0 and name in POSITIVE):
                raise ConfigError(f"{name} must be a number of seconds, was {value!r}")
        if 0 < self.change_every_s < SHORTEST_S:
            raise ConfigError(f"change_every_s must be 0 or at least {SHORTEST_S}")


SETTABLE: Final = (*("dialect", "auth_style", "rebuild_every_s", "change_every_s", "bound_url"),)
