"""Mutants of the factory layer that are no defects: what they change cannot make a difference.

A claim of this kind is doubted: such a mutant goes through the sweeps, a short hunt and the layer's
tests like the others, and one that anything notices counts as noticed. A name is the text of what
is changed, so that another text is judged anew.
"""

from __future__ import annotations

from collections.abc import Mapping

UNIQUE = "only that it differs from all others is asked of it"
AGAIN = "the end of the context, which follows in the same step, closes the session"

EQUIVALENT: Mapping[str, str] = {
    "contexts.LiveContexts.close: statement left out: timer.cancel()": (
        "the timer closes a request that is not live any more, and no id is used twice"
    ),
    "agents.ExecutionEngine.run: copy not made: list(tools.history)": (
        "the list belongs to the dispatcher of this request, which nobody uses after it"
    ),
    "events.Channel.close: statement left out: self.queue.clear()": (
        "nobody looks at the queue of a closed channel: put, flush and the writer, which is "
        "cancelled, all look at closed first"
    ),
    "events.Channel._stopped: statement left out: self._writer = None": (
        "close, which follows, cancels a task that is done, and a closed channel starts no other"
    ),
    "events.EventEmitter.__init__: copy not made: frozenset(pool.connections(context.user_id))": (
        "connections makes a new list each time, and only membership is asked"
    ),
    "events.EventEmitter.__init__: off by one: 0 in self._emitted = 0": UNIQUE,
    "events.EventEmitter._send: off by one: 1 in self._emitted += 1": UNIQUE,
    "sessions.Session.__init__: off by one: 0 in self._transactions = 0": UNIQUE,
    "sessions.Session.transaction: off by one: 1 in self._transactions += 1": UNIQUE,
    "identity.TokenService.login: off by one: 8 in await self._store.put(token, "
    'Identity(user, f"conversation-{secrets ...': UNIQUE,
    'identity.TokenService.mint: off by one: 16 in return f"token-{secrets.token_hex(16)}"': UNIQUE,
    "state.StateStore.save: arguments swapped: self._check(acting, owner)": (
        "whether two names are equal does not depend on their order"
    ),
    "state.StateStore.load: arguments swapped: self._check(acting, owner)": (
        "whether two names are equal does not depend on their order"
    ),
    "layer.Layer.close_session: statement left out: self.sessions.close(session)": AGAIN,
    "layer.Layer.transfer: statement left out: self.sessions.close(session)": AGAIN,
}
"""By the name of the mutant, why it is none."""
