"""A refused address is shown without the user name and password in it."""

from typing import Any

import pytest

from core.settings.account import parse_credentials
from core.settings.validation import InvalidFileError


@pytest.mark.parametrize(
    ("base_url", "shown"),
    [
        pytest.param("ftp://user:passw0rd@host/", "was ftp://host/ ", id="login"),
        pytest.param("ftp://user:passw0rd//x@host/", "was ftp://host/ ", id="slashes"),
        pytest.param("ftp://user:passw0rd@x@host", "was ftp://host ", id="at-sign"),
        pytest.param("user:passw0rd@host", "was host ", id="no-scheme"),
        pytest.param("ftp://user:passw0rd" + "x" * 99 + "@host", "was ftp://host ", id="long"),
        pytest.param("ftp://host/path", "was ftp://host/path ", id="no-login"),
    ],
)
def test_a_refused_address_is_shown_without_its_login(base_url: str, shown: str) -> None:
    account: dict[str, Any] = {"name": "main", "exchange": "bybit", "environment": "paper"}
    account |= {"api_key": "k", "api_secret": "s", "base_url": base_url}
    with pytest.raises(InvalidFileError) as caught:
        parse_credentials({"accounts": [account]})

    assert "passw0rd" not in str(caught.value)
    assert shown in str(caught.value)
