"""The files that the SN8 source is configured by, each costing one `stat` while it is unchanged.

Reads only. The key needs a restart of the service, everything else is taken up as it is saved.
"""

from dataclasses import asdict
from typing import Any

from core.errors import ConfigError
from core.home import Home
from core.settings.account import BittensorCredentials
from core.settings.files import ConfigFile, Reading
from core.settings.snapshot import CREDENTIALS, MAPPING
from core.settings.validation import ConfigProblem
from signal_processors.bittensor_config import PROCESSOR
from signal_processors.bittensor_follower import FollowSettings
from signal_processors.bittensor_processor import SOURCE


class BittensorFiles:
    """What is in force of the three files."""

    def __init__(self, home: Home) -> None:
        where = (home.root, home.last_good)
        self._processor = ConfigFile(PROCESSOR, *where)
        self._mapping = ConfigFile(MAPPING, *where)
        self._credentials = ConfigFile(CREDENTIALS, *where)
        self._first: BittensorCredentials | None = None
        self._told: tuple[ConfigProblem, ...] = ()

    def settings(self) -> FollowSettings:
        """Give the settings in force. Raises ConfigError when a file never was good."""
        processor, mapping = self._processor.read(), self._mapping.read()
        self._told = (*processor.problems, *mapping.problems)
        targets = dict(mapping.content.get(SOURCE.name, {}))
        return FollowSettings(config=processor.content, targets=targets)

    def credentials(self) -> BittensorCredentials | None:
        """Give the access to the data, as it was first found; None = none is configured yet."""
        if self._first is None:
            found = self._read_credentials()
            self._first = found if found is not None and found.is_configured else None
        return self._first

    def problems(self) -> list[Any]:
        """List what a person should mend, for the status."""
        found = [asdict(problem) for problem in self._told]
        try:
            is_changed = self._first is not None and self._read_credentials() != self._first
        except ConfigError as error:
            return [*found, str(error)]
        if is_changed:
            problem = ConfigProblem(
                file=CREDENTIALS.name,
                key="bittensor_sn8",
                text="the access to SN8 changed since this service started",
                remedy=f"run ./trade-engine restart {SOURCE.service}",
                severity="warning",
            )
            found.append(asdict(problem))
        return found

    def _read_credentials(self) -> BittensorCredentials | None:
        reading: Reading[Any] = self._credentials.read()
        found: BittensorCredentials | None = reading.content.bittensor_sn8
        return found
