"""What goes wrong in the observer reaches no training: the graph has less in it, and says so."""

import sys

import pytest
import torch
import torch.multiprocessing.reductions
import torch.utils.flop_counter
from torch import nn
from torch.nn.modules import module as hooks

import multiboard as mb
import multiboard.torch as mbt
from multiboard.graph import layers
from multiboard_torch import _compat
from multiboard_torch.tracing import calls, flops, listening, modes, operations, producers, recording, scopes

X = torch.ones(3, 4)


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))


def broken(*_, **__):
    raise RuntimeError("of the observer")


def train(model, observed):
    """Return the loss, the gradients and, if observed, the graph of one step."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    if not observed:
        loss = model(X).square().mean()
        loss.backward()
        optimizer.step()
        return loss, None
    with mbt.graph(model, backward=True) as recording:
        loss = model(X).square().mean()
        loss.backward()
        optimizer.step()
    return loss, recording.graph


def compare():
    """Train two equal models, one of them observed, assert that they end alike, and return the graph."""
    plain, model = network(), network()
    expected, _ = train(plain, observed=False)
    found, recorded = train(model, observed=True)
    assert torch.equal(found, expected)
    assert all(map(torch.equal, model.state_dict().values(), plain.state_dict().values()))
    assert not hooks._global_forward_hooks
    assert not torch.overrides._get_current_function_mode_stack()
    assert not torch.utils._python_dispatch._get_current_dispatch_mode_stack()
    return recorded


BREAKS = {
    "operators": (operations.Operations, "record"),
    "inputs": (operations.Operations, "take_inputs"),
    "outputs": (operations.Operations, "take_outputs"),
    "weights": (producers.Producers, "know"),
    "start of modules": (calls.ModuleCalls, "begin"),
    "end of modules": (calls.ModuleCalls, "end"),
    "unused parameters": (calls.ModuleCalls, "own_scope"),
    "scopes": (scopes.Scopes, "enter"),
    "operators are not heard": (modes.Operators, "__enter__"),
    "functions are not heard": (modes.Functions, "__enter__"),
    "hooks": (listening.Listening, "begin_modules"),
}


@pytest.mark.parametrize("name", BREAKS)
def test_a_mistake_of_the_observer_is_a_note_of_the_graph(name, monkeypatch, check_graph):
    monkeypatch.setattr(*BREAKS[name], broken)
    recorded = compare()
    check_graph(recorded)
    assert any("of the observer" in note for note in recorded.notes) or name == "unused parameters"


@pytest.mark.parametrize("place", [(recording.Recorder, "finish"), (recording.Observer, "__enter__")])
def test_a_graph_that_cannot_be_made_is_said_once_and_the_training_goes_on(place, monkeypatch, log_dir):
    monkeypatch.setattr(*place, broken)
    model, plain = network(), network()
    with mb.Run(log_dir) as run, pytest.warns(mb.MultiboardWarning, match="no graph of Sequential") as said:
        recording = mbt.graph(model, run)
        assert torch.equal(model(X), plain(X))
    assert recording.graph is None
    assert len(said) == 1
    assert not hooks._global_forward_hooks


def test_a_graph_that_the_run_does_not_take_is_said(log_dir):
    model = network()
    with mb.Run(log_dir) as run, pytest.warns(mb.MultiboardWarning, match="no graph of Sequential was written"):
        for _ in range(2):
            mbt.graph(model, run)
            model(X)


def test_without_operators_the_modules_are_shown_still(monkeypatch):
    monkeypatch.setattr(modes.Operators, "__enter__", broken)
    model = network()
    recording = mbt.graph(model)
    model(X)
    rows = [(row.op, row.path, row.shape) for row in layers(recording.graph)]
    assert rows == [("Dense", "0", (3, 4)), ("relu", "1", (3, 4)), ("Dense", "2", (3, 2))]
    assert sum(node.params for node in recording.graph.nodes) == 30


ABSENT = {
    "_current_autograd_node": (torch._C, "_current_autograd_node"),
    "_current_graph_task_id": (torch._C, "_current_graph_task_id"),
    "_get_sequence_nr": (torch._C._autograd, "_get_sequence_nr"),
    "flop_registry": (torch.utils.flop_counter, "flop_registry"),
    "StorageWeakRef": (torch.multiprocessing.reductions, "StorageWeakRef"),
    "set_stance": (torch.compiler, "set_stance"),
    "function mode": (torch.overrides, "_get_current_function_mode"),
    "function mode stack": (torch.overrides, "_get_current_function_mode_stack"),
    "dispatch mode stack": (torch.utils._python_dispatch, "_get_current_dispatch_mode_stack"),
    "get_unwrapped": (torch._C._functorch, "get_unwrapped"),
    "_initialize_hook": (nn.modules.lazy.LazyModuleMixin, "_infer_parameters"),
}


@pytest.mark.parametrize("name", ABSENT)
def test_without_a_private_name_of_pytorch_the_graph_has_less_in_it(name, monkeypatch, check_graph):
    flops._rule.cache_clear()
    owner, attribute = ABSENT[name]
    plain, model = network(), network()
    expected, _ = train(plain, observed=False)
    monkeypatch.delattr(owner, attribute)
    found, recorded = train(model, observed=True)
    monkeypatch.undo()
    flops._rule.cache_clear()
    assert torch.equal(found, expected)
    check_graph(recorded)
    assert [row.op for row in layers(recorded)][:3] == ["Dense", "relu", "Dense"]
    assert sum(node.params for node in recorded.nodes) == 30
    assert recorded.notes == ()
    assert not torch.overrides._len_torch_function_stack()


def test_without_numbers_of_storages_views_are_inputs_of_nothing_else(monkeypatch, check_graph):
    monkeypatch.setattr(producers, "storage_key", lambda _: 0)
    model = network()
    recording = mbt.graph(model)
    model(X)
    check_graph(recording.graph)
    assert [row.op for row in layers(recording.graph)] == ["Dense", "relu", "Dense"]


def test_without_fake_tensors_an_example_is_computed(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch._subclasses.fake_tensor", None)
    recording = mbt.graph(network(), example=X)
    assert recording.graph.notes == ()
    assert recording.graph.nodes[-1].op == "Output"


def test_where_nothing_decomposes_inference_mode_shows_whole_operators(monkeypatch):
    monkeypatch.setattr(modes, "decomposes", lambda _: False)
    model = network()
    recording = mbt.graph(model)
    with torch.inference_mode():
        model(X)
    assert {node.op for node in recording.graph.nodes} >= {"aten::linear", "aten::relu"}
    assert not hasattr(torch.add, "decompose")
    assert not _compat.decomposes(torch.add)
