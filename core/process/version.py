"""The program's version, from its installed metadata; "unknown" where it is not installed."""

from importlib import metadata


def version() -> str:
    """Read the installed version."""
    try:
        return metadata.version("trade-engine")
    except metadata.PackageNotFoundError:
        return "unknown"
