"""A simulated validator of Bittensor's subnet 8: a paper source of signals.

Everything it says is made up from a seed. It knows nothing of the client that reads it.
"""
