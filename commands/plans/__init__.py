"""One cycle of the engine, for real or rehearsed: what `plan` and `start` show."""
