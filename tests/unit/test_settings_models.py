"""What the configuration files may say, and how a wrong value is told."""

from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from core.settings import AccountConfig, EngineConfig, InvalidFileError
from core.settings.account import parse_credentials
from core.settings.engine import parse_engine_config
from core.settings.signals import parse_mapping, parse_weights
from core.settings.validation import ConfigProblem

SECRET = "sesame-0123456789"
DIGITS = "9876543210"


def account(**changes: object) -> dict[str, Any]:
    return {
        "name": "a",
        "exchange": "bybit",
        "api_key": SECRET,
        "api_secret": SECRET,
        "environment": "paper",
        **changes,
    }


def weights(**changes: object) -> list[dict[str, Any]]:
    row = {
        "symbol": "BTCUSDT",
        "leverage": 3,
        "sources": [{"source": "tradingview", "weight": 0.1}],
    }
    return [{**row, **changes}]


def test_an_account_has_careful_defaults() -> None:
    (made,) = parse_credentials({"accounts": [account()]}).accounts

    assert made.enabled
    assert (made.margin_mode, made.position_mode, made.equity_scope) == ("keep", "one_way", "usdt")
    assert (made.allow_reopen, made.copy_trading) == (False, False)
    assert (made.base_url, made.leverage_override, made.min_order_notional_usdt) == (None,) * 3
    assert made.is_configured


def test_a_fingerprint_names_the_key_without_telling_it() -> None:
    first, second, third = parse_credentials(
        {
            "accounts": [
                account(),
                account(name="b", api_key="other"),
                account(name="c", exchange="mexc", api_secret="x"),
            ]
        }
    ).accounts

    assert len(first.fingerprint) == 16
    assert len({first.fingerprint, second.fingerprint, third.fingerprint}) == 3
    assert SECRET not in first.fingerprint


def test_an_account_without_keys_is_read_but_not_configured() -> None:
    (made,) = parse_credentials({"accounts": [account(api_key="", api_secret="")]}).accounts

    assert not made.is_configured


def test_c2_a_repr_shows_no_secret() -> None:
    read = parse_credentials(
        {
            "bittensor_sn8": {"api_key": SECRET, "endpoint": "https://x"},
            "accounts": [account(api_passphrase=SECRET)],
        }
    )

    assert SECRET not in repr(read)
    assert SECRET not in str(read.accounts[0].model_dump())
    assert read.accounts[0].api_secret.get_secret_value() == SECRET


def test_the_old_shape_is_read_as_live_accounts_named_like_their_exchange() -> None:
    read = parse_credentials(
        {
            "bittensor_sn8": {"api_key": SECRET, "endpoint": "https://x"},
            "bybit": {"api_key": "k", "api_secret": "s"},
            "blofin": {"api_key": "k", "api_secret": "s", "api_passphrase": "p"},
        }
    )

    assert [(row.name, row.exchange, row.environment) for row in read.accounts] == [
        ("bybit", "bybit", "live"),
        ("blofin", "blofin", "live"),
    ]
    assert read.bittensor_sn8 is not None


def test_old_and_new_shape_may_stand_side_by_side() -> None:
    read = parse_credentials({"accounts": [account()], "mexc": {"api_key": "k", "api_secret": "s"}})

    assert [row.name for row in read.accounts] == ["a", "mexc"]


def test_names_and_symbols_are_folded_to_one_spelling() -> None:
    assert parse_credentials({"accounts": [account(exchange=" ByBit ")]}).accounts[0].exchange == (
        "bybit"
    )
    assert parse_mapping({"TradingView": {"BTCUSDT.P": "btcusdt"}}) == {
        "tradingview": {"BTCUSDT.P": "BTCUSDT"}
    }
    assert parse_weights(weights(symbol="btcusdt "))[0].symbol == "BTCUSDT"


def test_the_mapping_keeps_its_order_and_cannot_be_changed() -> None:
    mapping = parse_mapping({"tradingview": {"Z": "ZUSDT", "A": "AUSDT"}, "bittensor": {}})

    assert list(mapping["tradingview"]) == ["Z", "A"]
    with pytest.raises(TypeError):
        mapping["tradingview"]["Z"] = "X"  # type: ignore[index]


def test_models_cannot_be_changed() -> None:
    config = parse_engine_config({})

    with pytest.raises(ValidationError, match="frozen"):
        config.webhook.port = 1


def test_weights_are_exact_numbers() -> None:
    (row,) = parse_weights(
        weights(
            sources=[
                {"source": "tradingview", "weight": 0.1},
                {"source": "bittensor", "weight": "0.9"},
            ]
        )
    )

    assert row.weight_of("tradingview") == Decimal("0.1")
    assert row.weight_of("bittensor") == Decimal("0.9")
    assert row.weight_of("nobody") == 0


def test_a_source_that_is_not_listed_is_never_stale() -> None:
    config = parse_engine_config({"sources": {"mine": {"stale_after_s": 5}}})

    assert config.source("mine").stale_after_s == 5
    assert config.source("bittensor").stale_after_s == 600
    assert config.source("tradingview").stale_after_s == 0
    assert config.source("other").stale_after_s == 0


def test_an_empty_engine_config_is_the_defaults() -> None:
    assert parse_engine_config({}) == EngineConfig()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param({"accounts": [account(name="")]}, "name must be", id="no-name"),
        pytest.param({"accounts": [account(exchange="../x")]}, "exchange must be", id="path"),
        pytest.param(
            {"accounts": [account(environment="real")]},
            "environment must be 'paper', 'demo' or 'live', was real",
            id="environment",
        ),
        pytest.param(
            {"accounts": [{"name": "a", "exchange": "bybit"}]},
            "environment is missing (credentials.json: accounts.a.environment)",
            id="no-environment",
        ),
        pytest.param(
            {"accounts": [account(enabeld=False)]},
            "enabeld is not a known key; did you mean enabled?",
            id="typo",
        ),
        pytest.param(
            {"accounts": [account(), account(api_key="x")]}, "name is used twice", id="twice"
        ),
        pytest.param(
            {"accounts": [account(), account(name="b")]},
            "api_key is the same as that of account a",
            id="one-key-in-two-accounts",
        ),
        pytest.param(
            {"accounts": [account(leverage_override=21)]},
            "leverage_override must be at most 20, was 21",
            id="leverage",
        ),
        pytest.param({"accounts": [account(base_url="ftp://x")]}, "must begin with http", id="url"),
        pytest.param({"accounts": {"a": account()}}, "accounts ", id="object-for-list"),
        pytest.param([account()], "the file ", id="list-for-object"),
        pytest.param(
            {"accounts": 3, "bybit": {"api_key": "k"}}, "accounts ", id="old-and-broken-new"
        ),
        pytest.param({"bybit": "key"}, "bybit is not a known key", id="unknown"),
    ],
)
def test_wrong_credentials_are_refused_in_words(value: object, text: str) -> None:
    with pytest.raises(InvalidFileError) as caught:
        parse_credentials(value)

    assert text in str(caught.value)
    assert "credentials.json" in str(caught.value)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param({"accounts": [account(api_key=[SECRET])]}, id="key-in-a-list"),
        pytest.param({"accounts": [account(api_kee=SECRET)]}, id="mistyped-key"),
        pytest.param({"accounts": [SECRET]}, id="bare-key"),
        pytest.param({"accounts": SECRET}, id="key-for-accounts"),
        pytest.param({"tokn": SECRET}, id="top-level"),
        pytest.param(SECRET, id="all"),
        pytest.param({"accounts": [account(api_key=int(DIGITS))]}, id="number"),
        pytest.param({"accounts": [{**account(), "environment": None, "x": SECRET}]}, id="two"),
    ],
)
def test_c2_an_error_repeats_no_secret(value: object) -> None:
    with pytest.raises(InvalidFileError) as caught:
        parse_credentials(value)

    assert SECRET not in str(caught.value)
    assert DIGITS not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param(
            weights(leverage=50),
            "leverage must be at most 20, was 50 (signal_weight_config.json: BTCUSDT.leverage)",
            id="leverage",
        ),
        pytest.param(weights(leverage=0.5), "leverage must be at least 1, was 0.5", id="below-one"),
        pytest.param(weights(leverage=True), "leverage must be a number", id="bool"),
        pytest.param(weights(leverage="nan"), "leverage ", id="nan"),
        pytest.param(weights(leverage="1e-999999999"), "leverage ", id="tiny"),
        pytest.param(
            weights(sources=[{"source": "tradingview", "weight": -0.1}]),
            "weight must be at least 0, was -0.1 (signal_weight_config.json: "
            "BTCUSDT.sources.tradingview.weight)",
            id="negative",
        ),
        pytest.param(
            weights(sources=[{"source": "a", "weight": 0.6}, {"source": "b", "weight": 0.5}]),
            "weights must not exceed 1 together, were 1.1 (signal_weight_config.json: BTCUSDT)",
            id="sum",
        ),
        pytest.param(
            weights(sources=[{"source": "a", "weight": 0.1}, {"source": "A", "weight": 0.1}]),
            "source a is listed twice",
            id="source-twice",
        ),
        pytest.param(weights() + weights(symbol="btcusdt"), "symbol is listed twice", id="twice"),
        pytest.param(weights(symbol="BTC USDT"), "symbol must be", id="blank-in-symbol"),
        pytest.param(weights(sources=None), "sources ", id="no-sources"),
        pytest.param({}, "the file ", id="object"),
    ],
)
def test_wrong_weights_are_refused_in_words(value: object, text: str) -> None:
    with pytest.raises(InvalidFileError) as caught:
        parse_weights(value)

    assert text in str(caught.value)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param([], id="list"),
        pytest.param({"tradingview": []}, id="inner-list"),
        pytest.param({"tradingview": {"X": 1}}, id="number"),
        pytest.param({"tradingview": {"": "BTCUSDT"}}, id="empty-source-symbol"),
        pytest.param({"../x": {}}, id="path-as-source"),
    ],
)
def test_a_wrong_mapping_is_refused(value: object) -> None:
    with pytest.raises(InvalidFileError, match="asset_mapping_config"):
        parse_mapping(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param(
            {"engine": {"max_gros_exposure": 1}},
            "max_gros_exposure is not a known key; did you mean max_gross_exposure?",
            id="typo",
        ),
        pytest.param({"qqq": 1}, "qqq is not a known key (engine_config.json: qqq)", id="unknown"),
        pytest.param(
            {"webhook": {"port": 70_000}}, "port must be at most 65535, was 70000", id="port"
        ),
        pytest.param({"webhook": {"allow_ips": ["1.2.3"]}}, "allow_ips", id="address"),
        pytest.param({"engine": {"collar": 0}}, "collar must be above 0, was 0", id="zero-collar"),
        pytest.param({"engine": {"reduce_collars": []}}, "reduce_collars", id="no-collars"),
        pytest.param(
            {"engine": {"reduce_collars": [0.05, 0.01]}}, "must widen step by step", id="narrowing"
        ),
        pytest.param(
            {"engine": {"retry_first_s": 9, "retry_max_s": 1}},
            "retry_first_s must not exceed retry_max_s",
            id="retry",
        ),
        pytest.param({"engine": {"order_type": "limit"}}, "'collar' or 'market'", id="choice"),
        pytest.param({"sources": {"a/b": {}}}, "sources", id="path-as-source"),
    ],
)
def test_a_wrong_engine_config_is_refused_in_words(value: object, text: str) -> None:
    with pytest.raises(InvalidFileError) as caught:
        parse_engine_config(value)

    assert text in str(caught.value)


def test_c2_a_wrong_token_is_not_repeated() -> None:
    with pytest.raises(InvalidFileError) as caught:
        parse_engine_config({"webhook": {"token": [SECRET], "tokens": SECRET}})

    assert SECRET not in str(caught.value)
    assert "did you mean token?" in str(caught.value)


def test_a_file_of_another_kind_tells_a_few_problems_not_hundreds() -> None:
    with pytest.raises(InvalidFileError) as caught:
        parse_credentials({f"key{number}": 1 for number in range(100)})

    assert len(caught.value.problems) == 5


def test_a_problem_reads_as_one_line() -> None:
    whole = ConfigProblem(file="f.json", key="", text="f.json is missing", remedy="restore it")
    keyed = ConfigProblem(file="f.json", key="a.b", text="b is wrong", remedy="")

    assert str(whole) == "f.json is missing (f.json); restore it"
    assert str(keyed) == "b is wrong (f.json: a.b)"


def test_two_unequal_accounts_with_disabled_twin_are_fine() -> None:
    read = parse_credentials({"accounts": [account(), account(name="b", enabled=False)]})

    assert [row.name for row in read.accounts] == ["a", "b"]
    assert isinstance(read.accounts[0], AccountConfig)


@pytest.mark.parametrize(
    ("environment", "base_url", "needs_arming", "is_paper"),
    [
        pytest.param("paper", None, False, True, id="paper"),
        pytest.param("paper", "http://127.0.0.1:9100/bybit", False, True, id="paper-here"),
        pytest.param("paper", "http://localhost:9100", False, True, id="paper-by-name"),
        pytest.param("paper", "https://api.bybit.example", True, False, id="paper-at-a-venue"),
        pytest.param("demo", None, False, False, id="demo"),
        pytest.param("demo", "https://api.bybit.example", True, False, id="demo-at-a-venue"),
        pytest.param("live", None, True, False, id="live"),
        pytest.param("live", "http://127.0.0.1:9100", True, False, id="live-here"),
    ],
)
def test_what_may_move_real_money_needs_arming_whatever_it_is_called(
    environment: str, base_url: str | None, *, needs_arming: bool, is_paper: bool
) -> None:
    found = parse_credentials(
        {"accounts": [account(environment=environment, base_url=base_url)]}
    ).accounts[0]

    assert (found.needs_arming, found.is_paper) == (needs_arming, is_paper)
