"""Rasa's graph for one message, run node after node.

Rasa plans each run anew with a task scheduler, although nothing in it runs side by side and the order is the same every time.
Beside a model that reads a message in a millisecond that planning was a fifth of the wait (docs/nlu.md). Rasa has no setting for
its runner, so its `run` is put in place of the scheduler's; nodes, hooks, inputs and errors stay Rasa's own, and so does training.
Behind the graph Rasa asks whether the domain is empty, and builds an empty one anew for every message to compare; it is kept.
"""

from __future__ import annotations

from functools import cache, wraps
from typing import Any

from rasa.engine.exceptions import GraphRunError
from rasa.engine.graph import GraphSchema
from rasa.engine.runner.dask import DaskGraphRunner
from rasa.shared.core.domain import Domain

_ORDERS = "_guanjia_orders"
"""On a runner: for the targets of a run, every node that is needed and what it needs, in an order that works."""


_scheduled = DaskGraphRunner.run


def install() -> None:
    """From now on this process answers messages without the scheduler."""
    DaskGraphRunner.run = _run
    Domain.is_empty = _is_empty


@wraps(_scheduled)
def _run(
    self: DaskGraphRunner, inputs: dict[str, Any] | None = None, targets: list[str] | None = None
) -> dict[str, Any]:
    if not targets:
        # Only training asks for everything.
        found: dict[str, Any] = _scheduled(self, inputs, targets)
        return found
    wanted = tuple(targets)
    orders = self.__dict__.setdefault(_ORDERS, {})
    if wanted not in orders:
        orders[wanted] = in_order(self._graph_schema.minimal_graph_schema(list(wanted)))
    done: dict[str, Any] = {name: (name, value) for name, value in (inputs or {}).items()}
    try:
        for name, needs in orders[wanted]:
            done[name] = self._instantiated_nodes[name](*(done.get(one, one) for one in needs))
    except RuntimeError as error:
        raise GraphRunError("Error running runner.") from error
    return {name: done[name][1] for name in wanted}


@cache
def _nothing() -> dict[str, Any]:
    found: dict[str, Any] = Domain.empty().as_dict()
    return found


def _is_empty(self: Domain) -> bool:
    return bool(self.as_dict() == _nothing())


def in_order(schema: GraphSchema) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Every node with the names of what it needs, each behind all nodes it needs. Raises ValueError for a graph that goes round."""
    left = {name: tuple(node.needs.values()) for name, node in schema.nodes.items()}
    found: list[tuple[str, tuple[str, ...]]] = []
    while left:
        ready = [name for name, needs in left.items() if not any(one in left for one in needs)]
        if not ready:
            raise ValueError(f"nodes need each other: {', '.join(sorted(left))}")
        found += [(name, left.pop(name)) for name in ready]
    return tuple(found)
