"""What a source of signals says of itself; each `*_processor.py` exposes one as `SOURCE`."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceProfile:
    """A source's name (that of its folder) and the kind of its signals."""

    name: str
    kind: Literal["instruction", "level"]  # deliberate acts, or a state confirmed again and again
    service: str  # the PM2 app that writes its journal
    compress_after_days: int = 60  # older files of its journal are compressed, in UTC days

    @property
    def is_level(self) -> bool:
        """Tell whether its signals are a state rather than acts."""
        return self.kind == "level"
