"""MEXC contract v1, linear USDT perpetuals."""

from paper_exchange.wires.mexc.protocol import WIRE

__all__ = ["WIRE"]
