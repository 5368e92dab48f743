"""The released bugs: which package, in which folder, broken and mended in which versions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Bug:
    """A defect that was released. ``target`` is the class in ``<folder>/target.py``.

    ``name`` tells two bugs of one package apart; without, the package does.
    """

    package: str
    bad: str
    good: str
    target: str
    issue: str
    name: str = ""
    extras: str = ""
    needs: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """Where its target is, and its counterexample as case file and test."""
        return HERE / (self.name or self.package).replace("-", "_")

    def environment(self, version: str) -> Path:
        """Where the virtual environment of this version is made."""
        return HERE / ".venvs" / f"{self.package}-{version}"

    def requirements(self, version: str) -> list[str]:
        """What is installed there, besides isomodel."""
        return [f"{self.package}{self.extras}=={version}", *self.needs]

    def server(self) -> list[Path]:
        """What plays the server beside the target, if anything has to."""
        return sorted(
            path
            for path in self.folder.glob("*.py")
            if path.name != "target.py" and not path.name.startswith("test_")
        )


BUGS = (
    Bug("redis", "4.5.3", "4.5.5", "Cache", "redis-py #2624, #2665"),
    Bug("structlog", "20.2.0", "21.1.0", "Log", "structlog #302"),
    Bug("databases", "0.7.0", "0.8.0", "Notes", "databases #230, #456, #546"),
    Bug("httpcore2", "2.2.0", "2.3.0", "Client", "httpx2 #982, #983", extras="[asyncio]"),
    Bug("anyio", "4.9.0", "4.10.0", "Limited", "anyio #947, #952"),
    Bug("psycopg-pool", "3.1.6", "3.1.7", "Service", "psycopg #509", needs=("psycopg[binary]",)),
    Bug("that-depends", "1.9.0", "1.10.0", "App", "that-depends #69"),
    Bug("async-lru", "2.0.4", "2.0.5", "Pages", "async-lru 2.0.5"),
    Bug("asgiref", "3.8.1", "3.9.1", "App", "asgiref #473"),
    Bug("werkzeug", "2.0.0rc4", "2.0.0", "App", "werkzeug #2102, #2103"),
    Bug("anyio", "3.4.0", "3.5.0", "Locked", "anyio #398", name="anyio-locks"),
    Bug("limits", "5.2.0", "5.3.0", "Api", "limits #277"),
    Bug("uvicorn", "0.38.0", "0.39.0", "Gateway", "uvicorn #2167, #2742", needs=("httpx==0.27.2",)),
    Bug("aiorwlock", "1.4.0", "1.5.1", "Document", "aiorwlock 1.5"),
)
