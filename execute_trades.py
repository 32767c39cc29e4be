"""Entry of the PM2 app `trade-engine`: SignalManager and TradeExecutor at work."""

import sys

from commands.wiring import run_engine
from core.process.service import run_service
from core.signal_manager import SignalManager
from core.trade_executor import TradeExecutor

__all__ = ["SignalManager", "TradeExecutor"]

if __name__ == "__main__":
    sys.exit(run_service("trade-engine", run_engine))
