"""What is traded at a venue when nobody says what."""

from dataclasses import replace

import pytest

from market.domain.enums import InstrumentStatus
from market.services import usual_symbols as usual_symbols_of
from market.venues.default_instruments import default_instrument
from market.venues.usual_symbols import usual_symbols


def listed(*symbols: str):
    return [default_instrument(symbol) for symbol in symbols]


@pytest.mark.parametrize(
    ("symbols", "usual"),
    [
        (("SOL/USDT:USDT", "BTC/USDT:USDT", "ETH/USDT:USDT"), "BTC/USDT:USDT ETH/USDT:USDT SOL/USDT:USDT"),
        (("BTC/USDT", "BTC/USDT:USDT"), "BTC/USDT:USDT"),  # a perpetual before spot
        (("BTC/USDC:USDC", "BTC/USDT:USDT"), "BTC/USDT:USDT"),
        (("BTC/USDT:USDT", "BTC/USDC:USDC", "ETH/USDC:USDC"), "BTC/USDC:USDC ETH/USDC:USDC"),  # more of them
        (("BTC/USDT:USDT", "BTC/USDT", "ETH/USDT"), "BTC/USDT ETH/USDT"),
        (("DOGE/USDT:USDT",), ""),
        ((), ""),
    ],
)  # fmt: skip
def test_large_coins_in_one_currency(symbols, usual):
    assert " ".join(usual_symbols(listed(*symbols))) == usual


def test_what_is_suspended_is_left_out():
    [btc, eth] = listed("BTC/USDT:USDT", "ETH/USDT:USDT")

    assert usual_symbols([replace(btc, status=InstrumentStatus.SUSPENDED), eth]) == (eth.symbol,)


def test_the_simulated_market_has_all_three():
    assert usual_symbols_of("simulated") == ("BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT")
