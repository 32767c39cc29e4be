"""The venues' protocols: every module or package here with a `WIRE` is one, found by directory."""

import importlib
import pkgutil

from paper_exchange.wire import Wire


def find_wires() -> dict[str, Wire]:
    """Give all protocols in this folder, by prefix."""
    names = sorted(found.name for found in pkgutil.iter_modules(__path__))
    wires: list[Wire] = [importlib.import_module(f"{__name__}.{name}").WIRE for name in names]
    return {wire.prefix: wire for wire in wires}
