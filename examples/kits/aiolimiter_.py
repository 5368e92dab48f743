"""aiolimiter under the kit.

The figures are powers of two: sums of them are exact, and time stands still in a simulation while a
limiter sets a timer for a moment that rounding has made the present one.
"""

from __future__ import annotations

from aiolimiter import AsyncLimiter

from isomodel import kits

Limiter = kits.rate(lambda: AsyncLimiter(2, 16), rate=2, per=16.0)
