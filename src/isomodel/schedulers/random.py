"""Random schedules: how long everything takes is drawn, anew for each execution.

Two walks, of which each execution draws one (swarm testing: Groce et al., ISSTA 2012):
``latencies`` gives every arrival a random priority when it comes up and lets the highest happen
first, as if each I/O took a time of its own. That is partial-order sampling (POS: Yuan et al.,
CAV 2018) without its re-draw at conflicts, which needs to see shared accesses. ``uniform`` picks
any option. Measured on the peers' programs, ``latencies`` hits two to four times as often as
``uniform`` where one task has to get far ahead; a walk that mostly goes on as before hit a tenth
as often as either, and is gone.

It draws once a step, so it is a part of the engine's core, which is compiled.
"""

from __future__ import annotations

from isomodel.engine.core import DUE, HASTE, JOIN, JOIN_OF_FAULTS, RandomWalk

__all__ = ["DUE", "HASTE", "JOIN", "JOIN_OF_FAULTS", "RandomWalk"]
