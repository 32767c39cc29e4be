"""Tells people what happened, from files only: the engine neither waits for it nor knows of it."""
