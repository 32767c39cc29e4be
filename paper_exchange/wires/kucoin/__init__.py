"""KuCoin Futures, classic account, USDT perpetuals."""

from paper_exchange.wires.kucoin.protocol import WIRE

__all__ = ["WIRE"]
