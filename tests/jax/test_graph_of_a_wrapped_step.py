"""A wrapped step shows its graph when it is first called, and trains as it does without."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import multiboard.jax as mbj
from multiboard.graph.ir import PARAMETER
from multiboard_jax.meter import count_compilations


def test_the_graph_is_written_once_and_the_training_is_the_same(style, train, run, written, causes):
    tx = mbj.tap(optax.adam(1e-2))
    plain, logged = style(tx), style(tx)
    expected = train(plain, plain.jit(plain.step, donate_argnums=plain.donated), 4)
    with run:
        step = mbj.wrap_train_step(logged.step, run, every=2, donate_argnums=logged.donated, graph=True)
        found = train(logged, step, 4)
    assert found[0] == expected[0]
    jax.tree.map(np.testing.assert_array_equal, found[1], expected[1])
    assert causes == []
    table = written().texts["graph/summary"]
    assert table.step.tolist() == [0]
    assert "dense1" in str(table.value[0])


def test_a_graph_compiles_no_program_more(plain, train, run):
    compiled = count_compilations()

    def programs(*, graph):
        jax.clear_caches()
        training, before = plain(mbj.tap(optax.adam(1e-2))), compiled()
        train(training, mbj.wrap_train_step(training.step, run, every=2, graph=graph), 3)
        return compiled() - before

    with run:
        assert programs(graph=True) == programs(graph=False) > 0


def test_no_graph_is_written_without_being_asked_for(plain, train, run, written):
    training = plain(mbj.tap(optax.adam(1e-2)))
    with run:
        train(training, mbj.wrap_train_step(training.step, run), 2)
    assert "graph/summary" not in written().texts


def test_a_step_whose_graph_fails_trains_and_reports(run, causes, monkeypatch):
    from multiboard_jax.tracing import programs

    def fail(*_):
        raise RuntimeError("no program")

    monkeypatch.setattr(programs, "arguments_of", fail)
    with run:
        step = mbj.wrap_train_step(lambda x: x.sum(), run, graph=True)
        assert [float(step(jnp.ones(3))) for _ in range(2)] == [3.0, 3.0]
    assert ["no program" in message for cause, message in causes if cause == "graph"] == [True]


def test_a_wrapped_step_can_be_drawn_itself(plain, batch_at, run):
    training = plain(mbj.tap(optax.adam(1e-2)))
    with run:
        step = mbj.wrap_train_step(training.step, run)
        found = mbj.graph(step, *training.start(), *batch_at(0))
    assert found.notes == ()
    assert sum(node.params for node in found.nodes) == 5 * 7 + 7 + 7 + 7
    assert {node.scope[0].name for node in found.nodes if node.scope} >= {"LinenNetwork", "backward", "optimizer"}


def test_parameters_have_the_names_that_their_histograms_have(style, batch_at, run, written, layers):
    training = style(mbj.tap(optax.adam(1e-2)))
    args = (*training.start(), *batch_at(0))
    with run:
        found = mbj.graph(training.step, *args)
        mbj.wrap_train_step(training.step, run)(*args)
    paths = {node.attrs["path"] for node in found.nodes if node.op == PARAMETER}
    assert paths == {name.removeprefix("params/") for name in written().histograms if name.startswith("params/")}
    assert sorted(paths) == layers


@pytest.mark.parametrize("value", [1, None, "yes"])
def test_whether_there_is_to_be_a_graph_is_a_bool(value, run):
    from multiboard.errors import ArgumentError

    with run, pytest.raises(ArgumentError, match="graph"):
        mbj.wrap_train_step(lambda x: x, run, graph=value)
