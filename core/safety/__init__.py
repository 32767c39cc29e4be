"""What stops the engine by itself: losses, jumps of equity, too many orders, crash loops.

Judgements are pure values; `watch` holds them for one account, `baselines` keeps them on disk. None
of it stops a reduction, but for the halt that a crash loop asks for, which sends nothing at all.
"""
