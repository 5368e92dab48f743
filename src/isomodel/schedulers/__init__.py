"""Schedulers: one way to resolve choices a file. Replay is one of them.

A *policy* is made for one execution as ``Policy(seed, profile)`` and is a pure function of both:
``pct.PCT``, ``pos.POS``, ``surw.SURW``, ``delay.DelayBounded``, ``round_robin.RoundRobin``,
``sticky.Sticky`` (``random.RandomWalk`` needs no profile). ``POS`` and ``SURW`` also take
``touches``, what events are going to access (``events.Touches``); without it they do what their
texts say. Most take ``company``, as ``RandomWalk`` does.

Wrappers go around any scheduler: ``profile.Profiling`` learns what policies want to know,
``recording.Recording`` keeps the schedule, ``metrics.Metrics`` counts, ``injecting.Injecting``
strikes planned faults, ``audit.Noted`` keeps what the determinism audit compares.
"""
