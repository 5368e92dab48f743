"""The command line's grammar, with an example for each command."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import NoReturn

from isomodel.edges.options import CASES, FIDELITIES, cores, duration, names, natural, positive
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
    _scan(_command(commands, "scan", "find anti-patterns in source code", _SCAN))
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

_SCAN = """examples:
  isomodel scan src                           a folder, or files
  isomodel scan src --select ISO3,ISO401      only these: ids, or how they begin
  isomodel scan src --format sarif > scan.sarif
  isomodel scan --rules                       all rules, with reason and fix

A comment `# isomodel: ignore[ISO301] reason` at the end of a line, or alone in the line above,
suppresses a finding. Exits 0 if nothing was found, 1 if something was, 2 if a path is missing or
cannot be parsed (the others are scanned)."""

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
    hunt.add_argument(
        "target", nargs="?", metavar="TARGET", help="module:Class, module:function, or a built-in"
    )
    _armed(hunt, "arm this defect of the target; may be repeated")
    _budget(hunt)
    _number(hunt, "--users", positive, None, "most users; default as the target declares")
    _number(hunt, "--operations", positive, 4, "most operations of one user; default 4")
    _number(
        hunt,
        "--faults",
        natural,
        2,
        "most faults of one scenario: cancellations, time limits that pass, failing and "
        "slow I/O, jumps of the clock, failures of the simulated network; default 2",
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
    _search(hunt)


def _budget(hunt: Parser) -> None:
    _number(hunt, "--seed", natural, 0, "the same seed repeats the same hunt; default 0")
    _number(hunt, "--executions", positive, None, "how many to run; default 2000")
    _seconds(hunt, "how long: 30s, 10m, 8h")


def _prove(prove: Parser) -> None:
    prove.add_argument(
        "target", metavar="TARGET", help="module:Class, module:function, or a built-in"
    )
    _armed(prove, "arm this defect of the target; may be repeated")
    _scenarios(prove)
    bounds = prove.add_mutually_exclusive_group()
    for option, what in (
        ("--preemptions", "switches away from what could go on"),
        ("--delays", "departures from the usual order"),
    ):
        text = f"no proof: only executions with at most so many {what}"
        bounds.add_argument(option, type=natural, metavar="N", help=text)
    _seconds(prove, "stop after 30s, 10m, 8h")
    prove.add_argument("--resume", type=Path, metavar="FILE", help="go on where this journal ends")
    _search(prove)


def _scenarios(prove: Parser) -> None:
    """What bounds the scenarios of a proof."""
    _number(prove, "--users", positive, 2, "most users; default 2")
    _number(prove, "--operations", positive, 2, "most operations of all users together; default 2")
    _number(
        prove,
        "--together",
        positive,
        1,
        "leave out scenarios of fewer users than this; default 1",
    )
    prove.add_argument(
        "--in-turn",
        action="store_false",
        dest="beside",
        help="a user's operations wait for each other: leave out those side by side",
    )
    _number(prove, "--values", positive, 4, "values of an argument; default 4")
    prove.add_argument(
        "--only", action="append", default=[], metavar="OPERATION", help="only these; repeatable"
    )
    _number(prove, "--faults", natural, 0, "most faults at once; default 0")


def _search(command: Parser) -> None:
    """What a hunt and a proof have in common: checks, processes, and what becomes of a finding."""
    command.add_argument(
        "--oracles",
        choices=("all", "noninterference", "invariants"),
        default="all",
        help="which checks; default all",
    )
    _number(command, "--workers", positive, cores(), "processes; default one for each core")
    command.add_argument(
        "--cases",
        type=Path,
        default=CASES,
        metavar="DIR",
        help=f"folder for counterexamples; default {CASES.as_posix()}",
    )
    command.add_argument(
        "--no-shrink",
        action="store_false",
        dest="shrink",
        help="keep the counterexample as it was found",
    )
    _path(command)


def _number(
    command: Parser, option: str, kind: Callable[[str], int], default: int | None, text: str
) -> None:
    command.add_argument(option, type=kind, default=default, metavar="N", help=text)


def _seconds(command: Parser, text: str) -> None:
    command.add_argument("--for", type=duration, dest="seconds", metavar="TIME", help=text)


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
    _path(regress, "the test imports its target from here, too; may be repeated")


def _scan(scan: Parser) -> None:
    scan.add_argument("paths", nargs="*", type=Path, metavar="PATH", help="a file or a folder")
    for option, text in (("--select", "only"), ("--ignore", "leave out")):
        scan.add_argument(
            option,
            type=names,
            default=(),
            metavar="IDS",
            help=f"{text} rules whose id is, or begins with, one of these: ISO3,ISO401",
        )
    scan.add_argument(
        "--exclude",
        action="append",
        default=[],
        metavar="PATTERN",
        help="leave out files whose path, or a part of it, fits; may be repeated",
    )
    scan.add_argument(
        "--format", choices=("text", "json", "sarif"), default="text", help="default text"
    )
    scan.add_argument("--rules", action="store_true", help="list the rules, scan nothing")


def _targets(targets: Parser) -> None:
    targets.add_argument(
        "target", nargs="?", metavar="TARGET", help="module:Class, module:function, or a built-in"
    )
    _path(targets)


def _armed(command: Parser, text: str) -> None:
    command.add_argument(
        "--arm", action="append", dest="armed", metavar="DEFECT", default=None, help=text
    )


def _path(
    command: Parser,
    text: str = "import targets from here, too (the current folder always is); may be repeated",
) -> None:
    command.add_argument(
        "--path",
        action="append",
        default=[],
        metavar="DIR",
        help=text,
    )
