"""How an account processor reaches its venue: loading ccxt, sending, limiting, telling errors.

Nothing here knows a venue by name, and nothing here decides what to trade.
"""
