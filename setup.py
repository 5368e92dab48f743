"""The compiled form of the engine's core: made where there is a compiler, done without elsewhere.

Everything else about the package is in ``pyproject.toml``.
"""

from __future__ import annotations

import warnings

from setuptools import Extension, setup

SOURCE = "src/isomodel/engine/core/source.py"


def extensions() -> list[Extension]:
    """The one extension; none where Cython is missing, or cannot make C of it."""
    try:
        from Cython.Build import cythonize

        core = Extension("isomodel.engine.core.compiled", [SOURCE])
        found: list[Extension] = cythonize(
            [core], build_dir="build/c", compiler_directives={"language_level": 3, "binding": False}
        )
    except Exception as error:
        warnings.warn(f"isomodel is installed in its pure form: {error}", stacklevel=1)
        return []
    for extension in found:
        extension.optional = True  # where no compiler is found; Cython forgets it when told before
    return found


setup(ext_modules=extensions())
