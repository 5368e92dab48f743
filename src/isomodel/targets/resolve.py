"""From ``module:Class`` to a target: imported, checked, or refused in one line that helps.

``module:function`` is a program, which becomes a target (``targets.program``).
"""

from __future__ import annotations

import contextlib
import difflib
import importlib
import importlib.util
import inspect
import os
import pkgutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FunctionType, MethodType, ModuleType
from typing import Any

from isomodel.targets.declare import TargetSpec, on, spec_of
from isomodel.targets.program import target_of
from isomodel.values.errors import BadInput

BUILTIN = ("isomodel.targets.factory.target:FactoryLayer",)
"""The targets that come with isomodel."""

NEARBY = 3
"""How many folders below the current one are searched for a module that cannot be imported."""


def resolve(name: str, path: Sequence[str] = (), runtime: str = "") -> TargetSpec:
    """The target ``module:Class``, or the program ``module:function``.

    It is imported from ``path``, the current folder or ``sys.path``, which runs the module's code,
    and is to run on ``runtime``, by default the first that it declares. Raises BadInput, in one
    line, if there is no such module, class or function, if importing it fails, or if it is no
    usable target, or not for this runtime.
    """
    module_name, colon, class_name = name.partition(":")
    if not colon or not module_name or not class_name:
        raise BadInput(
            f"{name}: not a target; write module:Class or module:function{_spelled(module_name)}"
        )
    if not all(part.isidentifier() for part in module_name.split(".")):
        raise BadInput(f"{name}: {module_name} names no module{_spelled(module_name, class_name)}")
    _search_first(path)
    module = _imported(name, module_name)
    return on(spec_of(_class_in(module, class_name, name), name), runtime)


def is_found(name: str, path: Sequence[str] = ()) -> bool:
    """Whether ``resolve`` would find the module of this target; none of its code is run."""
    top = name.partition(":")[0].partition(".")[0]
    _search_first(path)
    try:
        return importlib.util.find_spec(top) is not None
    except ValueError:  # no name at all, or a module that was made by hand
        return top in sys.modules


def folder_of(name: str) -> str:
    """The folder below the current one that this target's module came from; "" for others."""
    module = sys.modules.get(name.partition(":")[0].partition(".")[0])
    file = Path(getattr(module, "__file__", None) or os.devnull)
    folder = file.parent.parent if file.stem == "__init__" else file.parent
    here = Path.cwd()
    if folder == here or not folder.is_relative_to(here) or "site-packages" in folder.parts:
        return ""
    return folder.relative_to(here).as_posix()


def defects_of(spec: TargetSpec) -> Mapping[str, str]:
    """The known faults that can be armed in this target: name to what it breaks."""
    return spec.defects


def check_armed(spec: TargetSpec, armed: Iterable[str]) -> None:
    """Raise BadInput if the target has no defect of one of these names."""
    for defect in armed:
        if defect in spec.defects:
            continue
        known = ", ".join(sorted(spec.defects))
        if not known:
            raise BadInput(f"{spec.name}: has no defects to arm, so not {defect!r} either")
        raise BadInput(
            f"{spec.name}: no defect {defect!r}{_closest(defect, spec.defects)}; it has {known}"
        )


# The module


def _search_first(path: Sequence[str]) -> None:
    """Have ``path`` and the current folder looked through before everything else."""
    first = list(dict.fromkeys([*map(os.path.abspath, path), os.getcwd()]))
    sys.path[:] = first + [folder for folder in sys.path if folder not in first]
    importlib.invalidate_caches()


def _imported(name: str, module_name: str) -> ModuleType:
    try:
        return importlib.import_module(module_name)
    except (KeyboardInterrupt, BadInput):
        raise
    except ModuleNotFoundError as error:
        if error.name and (module_name + ".").startswith(error.name + "."):
            missing = f"no module {error.name}{_where_instead(error.name, module_name)}"
            raise BadInput(f"{name}: {missing}") from None
        raise _broken(name, module_name, error) from error
    except BaseException as error:  # a module may exit, too
        raise _broken(name, module_name, error) from error


def _broken(name: str, module_name: str, error: BaseException) -> BadInput:
    said = error.msg if isinstance(error, SyntaxError) else str(error)
    what = f"{type(error).__name__}: {said}".removesuffix(": ").splitlines()[0]
    return BadInput(f"{name}: importing {module_name} failed: {what} ({place_of(error)})")


def place_of(error: BaseException) -> str:
    """File and line where this error arose, outside the import machinery."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{_near(error.filename)}:{error.lineno}"
    place = "unknown place"
    trace = error.__traceback__
    while trace is not None:
        filename = trace.tb_frame.f_code.co_filename
        if not filename.startswith("<frozen") and filename not in (__file__, importlib.__file__):
            place = f"{_near(filename)}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place


def _near(filename: str) -> str:
    """The file's name from the current folder, if it lies there."""
    here = os.getcwd() + os.sep
    return filename.removeprefix(here)


def _where_instead(missing: str, wanted: str) -> str:
    """Where a module of this name is, or which one has a name like it."""
    folder = _folder_with(missing.partition(".")[0])
    if folder is not None and "." not in missing:
        return f"; it is in {folder}: `cd {folder}` or add that folder to the path"
    parent, _, last = wanted.rpartition(".") if missing == wanted else ("", "", missing)
    found = _closest(last, _modules_in(parent))
    return found or "; run from the folder that holds it, or add that folder to the path"


def _folder_with(top: str) -> str | None:
    """The nearest folder below the current one, or its parent, that holds this module."""
    here = Path.cwd()
    for depth in range(1, NEARBY + 1):
        for pattern in (f"{'*/' * depth}{top}.py", f"{'*/' * depth}{top}/__init__.py"):
            for found in sorted(here.glob(pattern)):
                folder = found.parent if found.stem == top else found.parent.parent
                relative = folder.relative_to(here)
                hidden = any(part.startswith((".", "__")) for part in relative.parts)
                if not hidden and not (folder / "__init__.py").exists():
                    return str(relative)
    if (here.parent / f"{top}.py").exists() or (here.parent / top / "__init__.py").exists():
        return ".."
    return None


def _modules_in(parent: str) -> list[str]:
    """Modules in this package, or at the top level outside installed packages."""
    if parent:
        with contextlib.suppress(Exception):
            spec = importlib.util.find_spec(parent)
            folders = list(spec.submodule_search_locations or ()) if spec else []
            return [f"{parent}.{info.name}" for info in pkgutil.iter_modules(folders)]
        return []
    return [info.name for info in pkgutil.iter_modules() if not info.name.startswith("_")]


def _spelled(module_name: str, class_name: str = "Class") -> str:
    """How a file's name is written as a target."""
    if not module_name.endswith(".py") and "/" not in module_name:
        return ""
    dotted = module_name.removesuffix(".py").replace(os.sep, "/").strip("./").replace("/", ".")
    return f", for this file {dotted}:{class_name}"


# The class


def _class_in(module: ModuleType, class_name: str, name: str) -> type:
    found: Any = module
    for part in class_name.split("."):
        if not hasattr(found, part):
            raise BadInput(f"{name}: no class {class_name} in {module.__name__}{_instead(module)}")
        found = getattr(found, part)
    if isinstance(found, FunctionType | MethodType):
        return target_of(found, name)
    if not isinstance(found, type):
        kind = type(found).__name__
        raise BadInput(
            f"{name}: {class_name} is a {kind}, not a class or a function{_instead(module)}"
        )
    return found


def _instead(module: ModuleType) -> str:
    targets = sorted(_targets_in(module))
    if targets:
        return f"; it declares operations in {', '.join(targets)}"
    return "; no class there declares operations (decorate methods with @operation)"


def _targets_in(module: ModuleType) -> Iterator[str]:
    for key, value in vars(module).items():
        if inspect.isclass(value) and any(
            hasattr(member, "__isomodel_operation__") for member in vars(value).values()
        ):
            yield key


def _closest(wanted: str, known: Iterable[str]) -> str:
    """``; did you mean ...?``, where a known name is like the one wanted."""
    names = {name.rpartition(".")[2]: name for name in known}
    close = difflib.get_close_matches(wanted, names, 1, 0.7)
    return f"; did you mean {names[close[0]]}?" if close else ""
