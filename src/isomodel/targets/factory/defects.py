"""stub"""

from __future__ import annotations

from typing import Any

DEFECTS: dict[str, Any] = {}
