"""Mutants: what is changed, what is kept of trials; the layer as it is passes all of them."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import msgspec
import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))  # `pytest` alone would not look there

from benchmarks import mutants, trials
from benchmarks.equivalent import EQUIVALENT
from benchmarks.mutator import mutants as made_of
from benchmarks.trials import Notice, Trial
from isomodel.targets.resolve import BUILTIN, resolve

pytestmark = pytest.mark.timeout(120)

SOURCE = '''
class Pool:
    """Holds."""

    async def take(self, most: int) -> str:
        """One."""
        if len(self.taken) >= most:
            raise Full(1)
        self.audit.note(self.taken)
        try:
            async with self.lock:
                return await asyncio.shield(self.make(list(self.names)))
        except BaseException:
            self.count += 1
            raise
        finally:
            self.lock.release()
'''


def changed(kind: str) -> list[str]:
    """The lines that mutants of this kind have and the source has not."""
    before = ast.unparse(ast.parse(SOURCE)).splitlines()
    mutated = [each for each in made_of(SOURCE, "pool", but="audit.") if f": {kind}: " in each.name]
    after = [ast.unparse(ast.parse(each.source)).splitlines() for each in mutated]
    return [line.strip() for lines in after for line in lines if line not in before]


def test_each_kind_of_change_is_made_in_its_place() -> None:
    assert changed("check left out") == ["pass"]
    assert changed("comparison changed") == ["if len(self.taken) > most:"]
    assert changed("off by one") == ["raise Full(2)", "self.count += 2"]
    assert changed("copy not made") == ["return await asyncio.shield(self.make(self.names))"]
    assert changed("shield left out") == ["return await self.make(list(self.names))"]
    assert changed("cancellation not caught") == ["except Exception:"]
    assert changed("error swallowed") == ["pass"]
    assert changed("nothing returned") == ["return"]
    assert changed("statement left out") == ["pass"] * 2
    assert "self.lock.release()" in changed("finally only on success")


def test_what_goes_to_the_audit_is_left_as_it_is() -> None:
    assert all(
        "audit.note(self.taken)" in each.source for each in made_of(SOURCE, "pool", but="audit.")
    )


def test_every_mutant_has_a_name_of_its_own_and_equivalent_ones_are_known_by_it() -> None:
    names = [each.name for each in mutants.all_mutants()]
    assert len(set(names)) == len(names) > 500
    assert not EQUIVALENT.keys() - set(names), "the text of these has changed: judge them again"


def test_a_mutant_is_noticed_and_the_layer_as_it_is_is_not() -> None:
    expected = trials.expected_of(resolve(BUILTIN[0]))
    every = {each.name: each for each in mutants.all_mutants()}
    broken = every["state.StateStore.key: nothing returned: return owner, kind"]
    swallowing = every[
        "agents.AgentFactory.create_agent: error swallowed: except BaseException: ..."
    ]
    jobs = [
        (mutants.control(), Trial("sequence")),
        (mutants.control(), Trial("sweep")),
        (mutants.control(), Trial("meet")),
        (swallowing, Trial("sweep")),
        (broken, Trial("sequence")),
    ]
    noticed = [notice.by for _, _, notice in mutants.notices(jobs[:3], expected)]
    assert noticed == ["", "", ""]
    noticed = [notice.by for _, _, notice in mutants.notices(jobs[3:], expected)]
    assert all(noticed)


def test_trials_are_not_made_twice(tmp_path: Path) -> None:
    place, mutant = tmp_path / "kept" / "mutants.jsonl", mutants.control()
    kept = mutants.Kept(place)
    assert kept.get(mutant, mutants.SHORT) is None
    kept.add(mutant, mutants.SHORT, Notice("liveness", 7))
    again = mutants.Kept(place)
    assert again.get(mutant, mutants.SHORT) == Notice("liveness", 7)
    assert again.get(mutant, mutants.LONG) is None
    assert again.get(msgspec.structs.replace(mutant, name="another"), mutants.SHORT) is None


def test_what_noticed_a_mutant_is_told_apart() -> None:
    assert mutants.group("noninterference") == mutants.ALONE
    assert mutants.group("cleanup") == mutants.INVARIANT
    for by in ("liveness", trials.LOOP, trials.START, "no crash", "crash: MemoryError"):
        assert mutants.group(by) == mutants.STUCK
    for by in (trials.RESULTS, trials.OWN_TESTS, ""):
        assert mutants.group(by) == by
