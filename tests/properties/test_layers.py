"""Imports point one way, and only the edges read the environment or print."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import isomodel

ROOT = Path(isomodel.__file__).parent
LAYERS = (
    "values",
    "tracking",
    "scan",
    "engine",
    "schedulers",
    "oracles",
    "targets",
    "search",
    "bridges",
    "edges",
)
"""Each imports only itself and those before it."""

OUTWARD = ("edges", "bridges/pytest_plugin.py")
"""Where argv, the environment and the terminal may be touched."""

NAMED_ONLY = {"engine/graph.py": "os.environ", "search/campaign/child.py": "os.environ"}
"""Told apart from what users share, and handed on to a worker process: nothing is read from it."""


def modules() -> list[Path]:
    return sorted(path for path in ROOT.rglob("*.py") if path.parent != ROOT)


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def layer_of(dotted: str) -> str | None:
    parts = dotted.split(".")
    return parts[1] if parts[0] == "isomodel" and len(parts) > 1 else None


def outward(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id in ("print", "input"):
                yield f"{node.func.id}() in line {node.lineno}"
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            name = f"{node.value.id}.{node.attr}"
            if name in ("sys.argv", "os.environ", "os.getenv", "os.environb"):
                yield f"{name} in line {node.lineno}"


def upward(layer: str, names: Iterator[str]) -> list[str]:
    allowed = LAYERS[: LAYERS.index(layer) + 1]
    return [name for name in names if layer_of(name) not in (None, *allowed)]


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_keeps_to_its_layer(path: Path) -> None:
    relative = path.relative_to(ROOT)
    tree = ast.parse(path.read_text(encoding="utf-8"))

    assert relative.parts[0] in LAYERS
    assert upward(relative.parts[0], imported(tree)) == []
    if not str(relative.as_posix()).startswith(OUTWARD):
        named_only = NAMED_ONLY.get(relative.as_posix(), "none")
        assert [each for each in outward(tree) if not each.startswith(named_only)] == []


def test_the_check_notices_an_upward_import_and_a_print() -> None:
    tree = ast.parse("from isomodel.edges.cli import main\nimport sys\nprint(sys.argv)\n")

    assert upward("values", imported(tree)) == ["isomodel.edges.cli.main"]
    assert list(outward(tree)) == ["print() in line 3", "sys.argv in line 3"]


def test_there_are_modules_in_every_layer() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in modules()} == set(LAYERS)
