"""What people allow the engine to send."""

from core.control.decisions import (
    EVERYTHING,
    FREE,
    Armed,
    Control,
    ControlEntry,
    Errand,
    Held,
    Resumed,
    Scope,
    strictest,
)

__all__ = [
    "EVERYTHING",
    "FREE",
    "Armed",
    "Control",
    "ControlEntry",
    "Errand",
    "Held",
    "Resumed",
    "Scope",
    "strictest",
]
