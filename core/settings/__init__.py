"""Configuration: what people wrote, validated, with a last good copy of everything."""

from core.settings.account import AccountConfig, BittensorCredentials, Environment
from core.settings.engine import EngineConfig, EngineLimits, SourceConfig
from core.settings.safety import SafetyLimits
from core.settings.signals import AssetMapping, SourceWeight, SymbolWeights
from core.settings.snapshot import Settings, SettingsReader, load_settings
from core.settings.validation import ConfigProblem, InvalidFileError

__all__ = [
    "AccountConfig",
    "AssetMapping",
    "BittensorCredentials",
    "ConfigProblem",
    "EngineConfig",
    "EngineLimits",
    "Environment",
    "InvalidFileError",
    "SafetyLimits",
    "Settings",
    "SettingsReader",
    "SourceConfig",
    "SourceWeight",
    "SymbolWeights",
    "load_settings",
]
