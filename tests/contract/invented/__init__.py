"""A small invented venue: what docs/adding-a-venue.md asks for, and ccxt's part of it.

`account_processors/acme.py` and `wires/acme.py` are the two files that a venue takes; `library.py`
stands for ccxt, which would have it already.
"""
