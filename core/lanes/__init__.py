"""Accounts at work: a lane each, its passes, and everything that one pass is made of."""
