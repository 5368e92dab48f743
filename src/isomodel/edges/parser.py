"""The command line's grammar, with an example for each command."""

from __future__ import annotations

import argparse
import os
from importlib.metadata import version
from pathlib import Path
from typing import NoReturn

from isomodel.edges.options import CASES, FIDELITIES, duration, names, natural, positive
from isomodel.engine.core import FORM
from isomodel.values.errors import BadInput

EXIT_CODES = (
    "exit codes: 0 ok, 1 violated, 2 bad input, 3 unknown (too little was checked to say ok),\n"
    "            70 internal error, 130 interrupted"
)


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, like all others."""

    def error(self, message: str) -> NoReturn:
        """Raise BadInput instead of printing the usage."""
        raise BadInput(f"{message}; {self.prog}; see `{self.prog} --help`")


def parser() -> Parser:
    """The whole grammar."""
    top = Parser(
        prog="isomodel",
        description="Shows that no user of a multi-user async system can reach another, "
        "or hands you the shortest run in which one does.",
        epilog="start with: isomodel hunt\n\n" + EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    installed = f"isomodel {version('isomodel')}, {FORM} core"
    top.add_argument("--version", action="version", version=installed)
    commands = top.add_subparsers(dest="command", metavar="COMMAND")
    _hunt(_command(commands, "hunt", "search for a run in which one user reaches another", _HUNT))
    _prove(_command(commands, "prove", "run every interleaving of all small scenarios", _PROVE))
    _replay(_command(commands, "replay", "run a counterexample again", _REPLAY))
    _regress(_command(commands, "regress", "write a counterexample as a pytest test", _REGRESS))
    _targets(_command(commands, "targets", "list what can be hunted, or describe one", _TARGETS))
    return top


_HUNT = """examples:
  isomodel hunt                              self-test: find each known defect of the built-in
                                             layer, and nothing in the sound one
  isomodel hunt myapp.iso:Chat               your system
  isomodel hunt myapp.iso:Chat --for 10m     for longer
  isomodel hunt factory --arm 414-10         one known defect of the built-in layer, explained

The self-test exits 1 if a defect is missed or the sound layer is not clean."""

_PROVE = """examples:
  isomodel prove myapp.iso:Chat                       two users, two operations
  isomodel prove myapp.iso:Chat --operations 3 --faults 1 --for 1h
  isomodel prove myapp.iso:Chat --resume .isomodel/proofs/proof-Chat-1a2b3c4d.json

Fidelity is `portable`: any task may take the next step. Exits 0 only if every interleaving of
every scenario was run; where the time is over, or with --preemptions or --delays, it exits 3 and
says what was covered."""

_REPLAY = """examples:
  isomodel replay .isomodel/cases/CASE.json
  isomodel replay .isomodel/cases/CASE.json --confirm   on the ordinary event loop, too

Exits 1 if the failure still shows, 0 if it does not any more."""

_REGRESS = """example:
  isomodel regress .isomodel/cases/CASE.json --into tests/regression"""

_TARGETS = """examples:
  isomodel targets                   the built-in targets
  isomodel targets myapp.iso:Chat    how isomodel reads your declaration"""


def _command(
    commands: argparse._SubParsersAction[Parser], name: str, summary: str, examples: str
) -> Parser:
    made = commands.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog=f"{examples}\n\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument(
        "--json",
        nargs="?",
        const="-",
        metavar="FILE",
        help="write the result as one JSON document to FILE, or alone to standard output",
    )
    return made


def _hunt(hunt: Parser) -> None:
    hunt.add_argument("target", nargs="?", metavar="TARGET", help="module:Class, or a built-in")
    _armed(hunt, "arm this defect of the target; may be repeated")
    hunt.add_argument(
        "--seed",
        type=natural,
        default=0,
        metavar="N",
        help="the same seed repeats the same hunt; default 0",
    )
    hunt.add_argument(
        "--executions", type=positive, metavar="N", help="how many to run; default 2000"
    )
    hunt.add_argument(
        "--for", type=duration, dest="seconds", metavar="TIME", help="how long: 30s, 10m, 8h"
    )
    hunt.add_argument(
        "--fidelity",
        choices=FIDELITIES,
        default="both",
        help="stock: only orders that the library's own loop can produce; "
        "portable: any task next; default both",
    )
    hunt.add_argument(
        "--runtime",
        type=names,
        default=(),
        dest="runtimes",
        metavar="NAMES",
        help="asyncio, trio or asyncio,trio: on which of those that the target declares; "
        "default all, each with the whole budget",
    )
    hunt.add_argument(
        "--oracles",
        choices=("all", "noninterference", "invariants"),
        default="all",
        help="which checks; default all",
    )
    hunt.add_argument(
        "--users", type=positive, metavar="N", help="most users; default as the target declares"
    )
    hunt.add_argument(
        "--operations",
        type=positive,
        default=4,
        metavar="N",
        help="most operations of one user; default 4",
    )
    hunt.add_argument(
        "--faults",
        type=natural,
        default=2,
        metavar="N",
        help="most faults of one scenario: cancellations, time limits that pass, failing and "
        "slow I/O, jumps of the clock; default 2",
    )
    hunt.add_argument(
        "--workers",
        type=positive,
        default=os.cpu_count() or 1,
        metavar="N",
        help="processes; default one for each core",
    )
    hunt.add_argument(
        "--cases",
        type=Path,
        default=CASES,
        metavar="DIR",
        help=f"folder for counterexamples; default {CASES.as_posix()}",
    )
    hunt.add_argument(
        "--no-shrink",
        action="store_false",
        dest="shrink",
        help="keep the counterexample as it was found",
    )
    _path(hunt)


def _prove(prove: Parser) -> None:
    prove.add_argument("target", metavar="TARGET", help="module:Class, or a built-in")
    _armed(prove, "arm this defect of the target; may be repeated")
    prove.add_argument(
        "--users", type=positive, default=2, metavar="N", help="most users; default 2"
    )
    prove.add_argument(
        "--operations",
        type=positive,
        default=2,
        metavar="N",
        help="most operations of all users together; default 2",
    )
    prove.add_argument(
        "--together",
        type=positive,
        default=1,
        metavar="N",
        help="leave out scenarios of fewer users than this; default 1",
    )
    prove.add_argument(
        "--in-turn",
        action="store_false",
        dest="beside",
        help="a user's operations wait for each other: leave out those side by side",
    )
    prove.add_argument(
        "--values", type=positive, default=4, metavar="N", help="values of an argument; default 4"
    )
    prove.add_argument(
        "--only", action="append", default=[], metavar="OPERATION", help="only these; repeatable"
    )
    prove.add_argument(
        "--faults", type=natural, default=0, metavar="N", help="most faults at once; default 0"
    )
    bounds = prove.add_mutually_exclusive_group()
    bounds.add_argument(
        "--preemptions",
        type=natural,
        metavar="N",
        help="no proof: only executions with at most so many switches away from what could go on",
    )
    bounds.add_argument(
        "--delays",
        type=natural,
        metavar="N",
        help="no proof: only executions with at most so many departures from the usual order",
    )
    prove.add_argument(
        "--oracles",
        choices=("all", "noninterference", "invariants"),
        default="all",
        help="which checks; default all",
    )
    prove.add_argument(
        "--for", type=duration, dest="seconds", metavar="TIME", help="stop after 30s, 10m, 8h"
    )
    prove.add_argument(
        "--workers",
        type=positive,
        default=os.cpu_count() or 1,
        metavar="N",
        help="processes; default one for each core",
    )
    prove.add_argument("--resume", type=Path, metavar="FILE", help="go on where this journal ends")
    prove.add_argument(
        "--cases",
        type=Path,
        default=CASES,
        metavar="DIR",
        help=f"folder for counterexamples; default {CASES.as_posix()}",
    )
    prove.add_argument(
        "--no-shrink",
        action="store_false",
        dest="shrink",
        help="keep the counterexample as it was found",
    )
    _path(prove)


def _replay(replay: Parser) -> None:
    replay.add_argument("case", type=Path, metavar="CASE", help="a case file of `isomodel hunt`")
    replay.add_argument("--fidelity", choices=("stock", "portable"), help="instead of the case's")
    replay.add_argument(
        "--runtime", default="", metavar="NAME", help="asyncio or trio, instead of the case's"
    )
    _armed(replay, "arm this defect instead of the case's; '' for none; may be repeated")
    replay.add_argument(
        "--confirm", action="store_true", help="run it on the ordinary asyncio event loop, too"
    )
    _path(replay)


def _regress(regress: Parser) -> None:
    regress.add_argument("case", type=Path, metavar="CASE", help="a case file of `isomodel hunt`")
    regress.add_argument(
        "--into", type=Path, default=Path("tests/regression"), metavar="DIR",
        help="default tests/regression",
    )  # fmt: skip


def _targets(targets: Parser) -> None:
    targets.add_argument("target", nargs="?", metavar="TARGET", help="module:Class, or a built-in")
    _path(targets)


def _armed(command: Parser, text: str) -> None:
    command.add_argument(
        "--arm", action="append", dest="armed", metavar="DEFECT", default=None, help=text
    )


def _path(command: Parser) -> None:
    command.add_argument(
        "--path",
        action="append",
        default=[],
        metavar="DIR",
        help="import targets from here, too (the current folder always is); may be repeated",
    )
