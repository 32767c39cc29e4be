"""Loads one ccxt venue without the other hundred that ccxt's package `__init__` imports.

The whole package costs about a second and 50 MB at every restart. Bare modules with the packages'
`__path__` take its place until somebody asks for what only the whole package has; then they fill
themselves. It leans on ccxt's insides, so whatever goes wrong ends in the ordinary import.
"""

import importlib
import importlib.util
import logging
import sys
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

PACKAGE = "ccxt"
ASYNC_PACKAGE = "ccxt.async_support"

log = logging.getLogger(__name__)

# what an import of changed insides can raise; an interrupt or a lack of memory is not among them
_IMPORT_FAILURES = (
    ImportError,
    AttributeError,
    NameError,
    TypeError,
    ValueError,
    LookupError,
    OSError,
    SyntaxError,
    RuntimeError,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedVenue:
    """A venue's async class and the root of ccxt's exceptions."""

    venue_class: Any
    base_error: type[Exception]
    version: str


class _BarePackage(ModuleType):
    """A package whose `__init__` has not run; it runs when an attribute is missing."""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the package has
        if (name.startswith("__") and name != "__all__") or _is_being_filled(self):
            msg = f"module {self.__name__!r} has no attribute {name!r}"
            raise AttributeError(msg)
        fill(self)
        return getattr(self, name)


def load(ccxt_id: str) -> LoadedVenue:
    """Import `ccxt.async_support.<ccxt_id>`, slim where that works.

    Raises:
        ImportError: this ccxt has no such venue, or ccxt itself cannot be imported.
    """
    present = sys.modules.get(PACKAGE)
    if present is not None and not isinstance(present, _BarePackage):
        return _loaded(ccxt_id)  # somebody imported all of it already: nothing to save
    before = set(sys.modules)
    try:
        if present is None:
            _install_bare_packages()
        loaded = _loaded(ccxt_id)
        _name_classes()
    except _IMPORT_FAILURES as error:
        log.warning("ccxt is imported whole, the slim way failed", extra={"cause": repr(error)})
        _forget_modules(before)
        if isinstance(present, _BarePackage):
            fill(present)
        loaded = _loaded(ccxt_id)
    # at DEBUG ccxt logs every request's headers: the key and the signature
    logging.getLogger(PACKAGE).setLevel(logging.WARNING)
    return loaded


def fill(package: ModuleType) -> None:
    """Run a bare package's real `__init__` in place; its loaded modules stay the ones they are."""
    if not isinstance(package, _BarePackage) or package.__spec__ is None:
        return
    loader = package.__spec__.loader
    if loader is None:  # a package found without a loader has nothing to run
        return
    package.__dict__["__filling__"] = True
    try:
        loader.exec_module(package)
    finally:
        del package.__dict__["__filling__"]
    package.__class__ = ModuleType  # type: ignore[assignment] # it is an ordinary package now


def _is_being_filled(package: ModuleType) -> bool:
    return "__filling__" in package.__dict__


def _loaded(ccxt_id: str) -> LoadedVenue:
    module = importlib.import_module(f"{ASYNC_PACKAGE}.{ccxt_id}")
    errors = importlib.import_module("ccxt.base.errors")
    base = importlib.import_module("ccxt.base.exchange")
    return LoadedVenue(
        venue_class=getattr(module, ccxt_id),
        base_error=errors.BaseError,
        version=str(base.__version__),
    )


def _name_classes() -> None:
    # in ccxt's own package `bybit` is the class and not the module
    package = sys.modules[ASYNC_PACKAGE]
    if isinstance(package, _BarePackage):
        for name, module in list(vars(package).items()):
            if isinstance(module, ModuleType) and isinstance(vars(module).get(name), type):
                package.__dict__[name] = vars(module)[name]


def _install_bare_packages() -> None:
    package = _bare(_spec(PACKAGE))
    errors = importlib.import_module("ccxt.base.errors")
    # ccxt's own base modules import these from the package itself
    names = {k: v for k, v in vars(errors).items() if isinstance(v, type)}
    package.__dict__.update(names)
    exchange = importlib.import_module("ccxt.base.exchange")
    package.__dict__.update(
        Exchange=exchange.Exchange,
        BaseExchange=exchange.BaseExchange,
        Precise=importlib.import_module("ccxt.base.precise").Precise,
        __version__=exchange.__version__,
    )
    async_package = _bare(_spec(ASYNC_PACKAGE))
    async_package.__dict__.update(names)
    package.__dict__["async_support"] = async_package


def _spec(name: str) -> ModuleSpec:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.loader is None or spec.submodule_search_locations is None:
        msg = f"{name} is not an importable package; run: pip install ccxt"
        raise ImportError(msg)
    return spec


def _bare(spec: ModuleSpec) -> ModuleType:
    module = _BarePackage(spec.name)
    module.__spec__ = spec
    module.__path__ = list(spec.submodule_search_locations or ())
    module.__file__ = spec.origin
    module.__package__ = spec.name
    module.__loader__ = spec.loader
    sys.modules[spec.name] = module
    return module


def _forget_modules(before: set[str]) -> None:
    for name in set(sys.modules) - before:
        if name == PACKAGE or name.startswith(f"{PACKAGE}."):
            del sys.modules[name]
