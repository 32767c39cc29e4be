"""Entry of the PM2 app `trade-engine`: SignalManager and TradeExecutor at work.

With options (`--run-single-cycle`, `--simulate`, `--help`) it is `trade-engine start`.
"""

import sys

from commands.main import run
from commands.wiring import run_engine
from core.process.service import run_service
from core.signal_manager import SignalManager
from core.trade_executor import TradeExecutor

__all__ = ["SignalManager", "TradeExecutor"]

if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.exit(run(["start", *sys.argv[1:]]))
    sys.exit(run_service("trade-engine", run_engine))
