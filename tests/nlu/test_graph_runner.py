"""Rasa's graph run node after node: the same answers as by its own scheduler, and the same errors."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from trained import trained_models

pytest.importorskip("rasa")

from rasa.core.agent import load_agent
from rasa.engine.exceptions import GraphComponentException, GraphRunError
from rasa.engine.graph import ExecutionContext, GraphComponent, GraphSchema, SchemaNode
from rasa.engine.runner.dask import DaskGraphRunner
from rasa.engine.storage.local_model_storage import LocalModelStorage
from rasa.shared.core.domain import Domain

from bot.training import model_path
from nlu import graph_runner

MESSAGES = ("在吗", "厨房水龙头滴水 还有楼道灯坏了", "物业费怎么交", "3栋2单元1502", "")


class Add(GraphComponent):  # type: ignore[misc]
    @classmethod
    def create(cls, *_: Any, **__: Any) -> Add:
        return cls()

    def run(self, one: int, other: int) -> int:
        return one + other


class Fails(Add):
    error: type[Exception] = ValueError

    def run(self, one: int, other: int) -> int:
        raise self.error("no")


def node(needs: dict[str, str], uses: type[GraphComponent] = Add) -> SchemaNode:
    return SchemaNode(needs=needs, uses=uses, constructor_name="create", fn="run", config={}, eager=True)


def runner(tmp_path: Any, nodes: dict[str, SchemaNode]) -> DaskGraphRunner:
    context = ExecutionContext(GraphSchema({}), model_id="test")
    return DaskGraphRunner.create(GraphSchema(nodes), LocalModelStorage(tmp_path), context)


SUMS = {
    "twice": node({"one": "sum", "other": "sum"}),
    "sum": node({"one": "a", "other": "b"}),
    "unasked": node({"one": "sum", "other": "nowhere"}),
}


@pytest.mark.parametrize("run", [graph_runner._scheduled, graph_runner._run])
def test_what_is_asked_for_is_worked_out_and_nothing_else(tmp_path: Any, run: Callable[..., dict[str, Any]]) -> None:
    graph = runner(tmp_path, SUMS)
    assert run(graph, {"a": 1, "b": 2}, ["twice"]) == {"twice": 6}
    assert run(graph, {"a": 3, "b": 4}, ["twice", "sum"]) == {"twice": 14, "sum": 7}


@pytest.mark.parametrize("run", [graph_runner._scheduled, graph_runner._run])
@pytest.mark.parametrize(("error", "seen"), [(ValueError, GraphComponentException), (None, GraphRunError)])
def test_what_fails_fails_alike(
    tmp_path: Any, run: Callable[..., dict[str, Any]], error: type[Exception] | None, seen: type[Exception]
) -> None:
    """`None`: a node that gets nothing of what it needs."""
    graph = runner(tmp_path, {"bad": node({"one": "a", "other": "b"}, Fails)})
    with pytest.raises(seen):
        run(graph, {"a": 1, "b": 2} if error else {"a": 1}, ["bad"])


def test_a_graph_that_goes_round_is_refused() -> None:
    with pytest.raises(ValueError, match="left, right"):
        graph_runner.in_order(
            GraphSchema({"left": node({"one": "right"}), "right": node({"one": "left"}), "free": node({})})
        )


def test_a_message_is_read_as_by_the_scheduler(monkeypatch: pytest.MonkeyPatch) -> None:
    agent = asyncio.run(load_agent(model_path=str(model_path(trained_models()))))

    def read() -> list[dict[str, Any]]:
        said = [asyncio.run(agent.parse_message(text)) for text in MESSAGES]
        for one in said:
            one.pop("message_id", None)
        return said

    assert DaskGraphRunner.run is graph_runner._run
    in_order = read()
    monkeypatch.setattr(DaskGraphRunner, "run", graph_runner._scheduled)
    assert read() == in_order


def test_a_domain_is_empty_without_anything_in_it() -> None:
    assert Domain.empty().is_empty() and Domain.from_dict({}).is_empty()
    assert not Domain.from_dict({"intents": ["urge"]}).is_empty()
    assert Domain.empty().is_empty(), "what is compared with stays empty"
