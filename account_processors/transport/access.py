"""What an account of the configuration means to its venue: which profile, which keys."""

from account_processors.transport.profile import Profile
from core.errors import ConfigError
from core.settings import AccountConfig


def profile_for(account: AccountConfig, profile: Profile) -> Profile:
    """Choose the venue's profile for this kind of account. Raises ConfigError."""
    if not account.copy_trading:
        return profile
    if profile.copy_trading is None:
        msg = (
            f"copy_trading must be false: {profile.exchange} has no copy-trading accounts of"
            f" another kind (credentials.json: account {account.name})"
        )
        raise ConfigError(msg)
    return profile.copy_trading


def keys_of(account: AccountConfig, profile: Profile) -> dict[str, str]:
    """Give the account's keys by ccxt's names. Raises ConfigError that names a missing one."""
    keys: dict[str, str] = {}
    for ccxt_name, name in profile.credentials.items():
        secret = getattr(account, name)
        value = secret.get_secret_value() if secret is not None else ""
        if not value:
            msg = (
                f"{name} is missing (credentials.json: account {account.name}):"
                " enter it in credentials.json"
            )
            raise ConfigError(msg)
        keys[ccxt_name] = value
    return keys
