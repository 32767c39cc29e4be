"""BloFin, USDT-margined perpetuals: the futures account and the copy-trading account."""

from paper_exchange.wires.blofin.protocol import WIRE

__all__ = ["WIRE"]
