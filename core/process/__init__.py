"""The life of one of our processes: lock, supervisor, signals, logs, listening socket."""
