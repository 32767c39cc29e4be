"""Signal sources: each a process that appends normalised signals to raw_signals/."""
