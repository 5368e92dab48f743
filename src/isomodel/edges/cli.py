"""The ``isomodel`` command: one command run, one exit code, and one line if it cannot be run."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from typing import Any

from isomodel.edges import exits
from isomodel.edges.options import (
    ALIASES,
    FIDELITIES,
    HuntOptions,
    ProveOptions,
    ReplayOptions,
    ScanOptions,
)
from isomodel.edges.output import Screen, check_writable
from isomodel.edges.parser import parser
from isomodel.values.errors import BadInput


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line ``argv`` (the process's own by default); return the exit code.

    ``--help`` and ``--version`` raise SystemExit, as argparse does.
    """
    try:
        return _checked(sys.argv[1:] if argv is None else argv)
    except BadInput as error:
        return _complain(str(error), exits.BAD_INPUT)
    except KeyboardInterrupt as stop:
        return _complain(f"interrupted; {str(stop) or 'nothing was kept'}", exits.INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is still buffered goes nowhere
        return exits.CLOSED
    except Exception as error:
        return _complain(
            f"internal error ({type(error).__name__}); the traceback is in {_traceback()}; "
            "please report it with that file",
            exits.INTERNAL,
        )


def _checked(argv: Sequence[str]) -> int:
    grammar = parser()
    arguments = grammar.parse_args(argv)
    if arguments.command is None:
        grammar.print_help()
        return exits.OK
    if arguments.command == "scan" and arguments.format == "json":
        arguments.json = arguments.json or "-"
    check_writable(arguments.json)
    screen = Screen(arguments.json)
    with screen.alone():
        try:
            return _COMMANDS[arguments.command](arguments, screen)
        except SystemExit:
            raise BadInput(
                "the target ended the process (SystemExit); on import or in an operation; "
                "guard scripts with `if __name__ == '__main__'`"
            ) from None


# The commands import hypothesis and the engine, which `--help` should not wait for.


def _hunt(arguments: argparse.Namespace, screen: Screen) -> int:
    from isomodel.edges import hunt, selftest

    options = HuntOptions(
        **_searched(arguments),
        seed=arguments.seed,
        executions=arguments.executions,
        fidelities=FIDELITIES[arguments.fidelity],
        runtimes=arguments.runtimes,
    )
    if options.target is None and not options.armed:
        return selftest.run(options, screen)
    return hunt.run(options, screen)


def _prove(arguments: argparse.Namespace, screen: Screen) -> int:
    from isomodel.edges import prove

    options = ProveOptions(
        **_searched(arguments),
        together=arguments.together,
        beside=arguments.beside,
        values=arguments.values,
        only=tuple(arguments.only),
        preemptions=arguments.preemptions,
        delays=arguments.delays,
        resume=arguments.resume,
    )
    return prove.run(options, screen)


def _searched(arguments: argparse.Namespace) -> dict[str, Any]:
    """What a hunt and a proof are both told."""
    return {
        "target": ALIASES.get(arguments.target, arguments.target),
        "armed": tuple(arguments.armed or ()),
        "users": arguments.users,
        "operations": arguments.operations,
        "faults": arguments.faults,
        "oracles": arguments.oracles,
        "seconds": arguments.seconds,
        "workers": arguments.workers,
        "cases": arguments.cases,
        "path": tuple(arguments.path),
        "shrink": arguments.shrink,
    }


def _replay(arguments: argparse.Namespace, screen: Screen) -> int:
    from isomodel.edges import replay

    armed = None if arguments.armed is None else tuple(filter(None, arguments.armed))
    options = ReplayOptions(
        arguments.case,
        arguments.fidelity,
        armed,
        tuple(arguments.path),
        arguments.confirm,
        arguments.runtime,
    )
    return replay.run(options, screen)


def _regress(arguments: argparse.Namespace, screen: Screen) -> int:
    from isomodel.edges import regress

    return regress.run(arguments.case, arguments.into, tuple(arguments.path), screen)


def _scan(arguments: argparse.Namespace, screen: Screen) -> int:
    from isomodel.edges import scan

    if arguments.rules:
        return scan.show_rules(screen)
    if not arguments.paths:
        raise BadInput("no path to scan; name files or folders, or `--rules` to list the rules")
    options = ScanOptions(
        paths=tuple(arguments.paths),
        select=arguments.select,
        ignore=arguments.ignore,
        exclude=tuple(arguments.exclude),
        sarif=arguments.format == "sarif",
    )
    return scan.run(options, screen)


def _targets(arguments: argparse.Namespace, screen: Screen) -> int:
    from isomodel.edges import targets

    name = ALIASES.get(arguments.target, arguments.target)
    return targets.run(name, tuple(arguments.path), screen)


_COMMANDS: dict[str, Callable[[argparse.Namespace, Screen], int]] = {
    "hunt": _hunt,
    "prove": _prove,
    "replay": _replay,
    "regress": _regress,
    "scan": _scan,
    "targets": _targets,
}


def _complain(message: str, code: int) -> int:
    print(f"isomodel: {' '.join(message.splitlines())}", file=sys.stderr)
    return code


def _traceback() -> str:
    """The path of a new file with the traceback of the exception now handled."""
    with tempfile.NamedTemporaryFile(
        "w", prefix="isomodel-traceback-", suffix=".txt", encoding="utf-8", delete=False
    ) as file:
        file.write(traceback.format_exc())
    return file.name
