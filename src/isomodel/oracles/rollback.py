"""Rollback: what failed left nothing behind, and no transaction stays open."""

from __future__ import annotations

from isomodel.oracles.protocol import Invariant
from isomodel.oracles.reading import at, during, ends, facts, name_of
from isomodel.values.execution import Execution
from isomodel.values.facts import Began, Ended, Noted
from isomodel.values.trace import Event
from isomodel.values.verdict import Finding


class _Transaction:
    """The first fact about one transaction, and how it ended, if it did."""

    def __init__(self, noted: Noted) -> None:
        self.noted = noted
        self.ends: list[str] = []


def _transactions(execution: Execution) -> dict[str, _Transaction]:
    found: dict[str, _Transaction] = {}
    for noted in execution.facts:
        fact = noted.fact
        if isinstance(fact, (Began, Ended)):
            transaction = found.setdefault(fact.transaction, _Transaction(noted))
            if isinstance(fact, Ended):
                transaction.ends.append(fact.how)
    return found


def _judge(execution: Execution, name: str, item: _Transaction, end: Event | None) -> str:
    """What is wrong with this transaction, if anything is."""
    settled = execution.ended in ("done", "deadlock")
    if not item.ends and settled and (end is not None or not item.noted.label):
        how = f", which ended with {end.kind}" if end else ""
        return f"transaction {name}, begun {during(item.noted)}{how}, was never ended"
    if "commit" in item.ends and end is not None and end.kind == "fail":
        return f"transaction {name} was committed, but {end.label} failed: {end.value!r}"
    return ""


def _findings_of_transactions(execution: Execution) -> list[Finding]:
    found = []
    ended = ends(execution)
    for name, item in _transactions(execution).items():
        message = _judge(execution, name, item, ended.get(item.noted.label))
        if message:
            found.append(
                Finding(
                    property="rollback",
                    message=message,
                    user=item.noted.user,
                    **at(execution, item.noted),
                    evidence={"transaction": name, "ended": item.ends},
                )
            )
    return found


def _findings_of_states(execution: Execution) -> list[Finding]:
    if not execution.rollbacks:
        return []
    ended = ends(execution)
    commits = [noted for fact, noted in facts(execution, Ended) if fact.how == "commit"]
    committed = {noted.label for noted in commits}
    by_servers = {noted.user for noted in commits if not noted.label}
    found = []
    for item in execution.rollbacks:
        end = ended.get(item.label)
        unknown = (
            end is not None
            and end.kind == "info"
            and (item.label in committed or item.user in by_servers)
        )
        if item.before != item.after and not unknown:
            found.append(
                Finding(
                    property="rollback",
                    message=f"{item.label} did not succeed but changed the state of {item.user} "
                    f"from {item.before!r} to {item.after!r}",
                    user=item.user,
                    operation=name_of(execution, item.label),
                    label=item.label,
                    evidence={"before": item.before, "after": item.after},
                )
            )
    return found


def check(execution: Execution) -> list[Finding]:
    """Transactions in the order they began, then states that changed."""
    return _findings_of_transactions(execution) + _findings_of_states(execution)


ROLLBACK = Invariant(
    "rollback",
    "An operation that failed is as if it never ran, and every transaction ends. It fires where "
    "the operation that began a transaction has ended and the transaction never does; where an "
    "operation failed but its transaction was committed; and where the state(user) of an "
    "operation declared atomic differs after it did not succeed, unless it was cancelled and had "
    "noted its commit: that outcome is unknown to its caller, and both are allowed. State that "
    "two operations of one user change side by side can't be told apart. A commit meant to "
    "survive the failure (an audit row) needs an operation, or a note, of its own.",
    check,
)
