"""Where everything lives on disk.

`TRADE_ENGINE_HOME` moves configuration, signals and state; without it the checkout is the home.
Only names are decided here; `make_folders` alone touches the disk, and creates them 0700.
"""

import os
from dataclasses import dataclass
from pathlib import Path

HOME_VARIABLE = "TRADE_ENGINE_HOME"
CHECKOUT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Home:
    """The folder that holds one engine's configuration, signals, state and logs."""

    root: Path

    @classmethod
    def from_environment(cls) -> "Home":
        """Take `TRADE_ENGINE_HOME`, else the checkout."""
        value = os.environ.get(HOME_VARIABLE, "")
        return cls(Path(value).expanduser().resolve() if value else CHECKOUT)

    @property
    def credentials(self) -> Path:
        """API keys by account; mode 0600."""
        return self.root / "credentials.json"

    @property
    def asset_mapping(self) -> Path:
        """Source symbol to our symbol, by source."""
        return self.root / "asset_mapping_config.json"

    @property
    def signal_weights(self) -> Path:
        """Leverage and weights by symbol."""
        return self.root / "signal_weight_config.json"

    @property
    def engine_config(self) -> Path:
        """Limits, timings, ports, webhook token; mode 0600."""
        return self.root / "engine_config.json"

    @property
    def account_asset_depths(self) -> Path:
        """Last confirmed depths: a hint for people, never the truth."""
        return self.root / "account_asset_depths.json"

    @property
    def raw_signals(self) -> Path:
        """One folder a source."""
        return self.root / "raw_signals"

    @property
    def state(self) -> Path:
        """Journals, control, locks, status."""
        return self.root / "state"

    @property
    def last_good(self) -> Path:
        """Copies of every configuration file that validated."""
        return self.state / "last_good"

    @property
    def logs(self) -> Path:
        """What PM2 writes of each service."""
        return self.root / "logs"

    def make_folders(self) -> None:
        """Create the data folders, readable by their owner alone."""
        for folder in (self.raw_signals, self.state, self.last_good, self.logs):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
