"""What the plugin's fixtures do: an async function is run under one schedule after another."""

from __future__ import annotations

from collections.abc import Sequence

from isomodel.bridges.failure import Unknown
from isomodel.search.counterexample import Counterexample
from isomodel.search.program import Main, explore_program
from isomodel.values.errors import Violated
from isomodel.values.schedule import Fidelity, RuntimeName


class Explore:
    """Explores an async function; call it in an ordinary test, which it then passes or fails.

    The function must make all of its state itself, because it is called anew for each execution:
    what it asserts has to hold under each of them, and it must come to an end.
    """

    def __init__(self, runtimes: Sequence[RuntimeName]) -> None:
        self._runtimes = tuple(runtimes)

    def __call__(
        self,
        main: Main,
        *,
        executions: int = 300,
        seed: int = 0,
        fidelities: Sequence[Fidelity] = ("stock", "portable"),
        cancel: bool = True,
    ) -> None:
        """Run ``main`` so often under each of ``fidelities``, on each runtime of this fixture.

        Raises Violated with the explained counterexample, Unknown where it cannot tell.
        """
        __tracebackhide__ = True
        for runtime in self._runtimes:
            for fidelity in fidelities:
                outcome = explore_program(
                    main,
                    executions=executions,
                    seed=seed,
                    fidelity=fidelity,
                    runtime=runtime,
                    cancel=cancel,
                )
                where = f"on {runtime}, {fidelity}"
                if outcome.verdict.status == "violated":
                    raise Violated(_told(main, outcome.counterexample, where))
                if outcome.verdict.status == "unknown":
                    raise Unknown(f"{_name(main)} {where}: {outcome.verdict.reason}")


def _told(main: Main, counterexample: Counterexample | None, where: str) -> str:
    return f"{_name(main)} fails {where}:\n{counterexample}"


def _name(main: Main) -> str:
    return getattr(main, "__qualname__", type(main).__name__).rpartition(".")[2]
