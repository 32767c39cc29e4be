"""Bybit v5, unified trading account, linear USDT perpetuals."""

from paper_exchange.wires.bybit.protocol import WIRE

__all__ = ["WIRE"]
