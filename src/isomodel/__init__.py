"""isomodel: no user of a multi-user async system can reach another, or here is how.

Declare a target (``operation``, ``observe``), then hunt it: ``isomodel hunt module:Class``.
"""

# ruff: noqa: E402 - the form of the engine is settled before any of it is imported

from isomodel.edges import form

form.settle()

from isomodel import facts
from isomodel.engine.world import acting_as, io, note, watch
from isomodel.targets.declare import Opaque, Ranked, Resource, Secret, observe, operation
from isomodel.values.errors import BadInput, IsomodelError, Violated
from isomodel.values.execution import Leftover

__all__ = [
    "BadInput",
    "IsomodelError",
    "Leftover",
    "Opaque",
    "Ranked",
    "Resource",
    "Secret",
    "Violated",
    "acting_as",
    "facts",
    "io",
    "note",
    "observe",
    "operation",
    "watch",
]
