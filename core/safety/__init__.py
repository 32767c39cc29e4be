"""What stops the engine by itself: losses, jumps of equity, too many orders, crash loops.

Judgements are pure values; `watch` holds them for one account, `baselines` keeps them on disk. None
of it ever stops a reduction.
"""
