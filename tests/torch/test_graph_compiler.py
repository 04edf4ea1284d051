"""What PyTorch compiles by itself works as without the graph, also where the compiler is loaded only then."""

import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.nn.attention.flex_attention import flex_attention

import multiboard.torch as mbt

X = torch.ones(2, 4)


class Branches(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x):
        x = self.first(x)
        return torch.cond(x.sum() > 0, lambda x: x.sin(), lambda x: self.second(x).cos(), (x,))


class Flexible(nn.Module):
    def __init__(self):
        super().__init__()
        self.dense = nn.Linear(4, 32)

    def forward(self, x):
        x = self.dense(x).reshape(1, 1, 4, 16)
        return flex_attention(x, x, x, score_mod=lambda score, _b, _h, q, k: score - (q - k).abs())


@pytest.mark.parametrize(("make", "op"), [(Branches, "cond"), (Flexible, "flex_attention")])
@pytest.mark.filterwarnings("ignore")  # of torch.cond and of flex_attention, which warn without the graph too
def test_what_compiles_itself_is_one_node_and_has_its_gradients(make, op, check_graph):
    torch.compiler.reset()
    torch.manual_seed(0)
    plain, model = make(), make()
    model.load_state_dict(plain.state_dict())
    recording = mbt.graph(model)
    with torch.set_grad_enabled(op == "cond"):  # flex_attention has no gradients on a CPU
        found, expected = model(X), plain(X)
    assert torch.equal(found, expected)
    for out in (found, expected) if op == "cond" else ():
        out.sum().backward()
    for one, other in zip(model.parameters(), plain.parameters(), strict=True):
        assert (one.grad is None) == (other.grad is None)
        assert one.grad is None or torch.equal(one.grad, other.grad)
    check_graph(recording.graph)
    assert any(op in node.op for node in recording.graph.nodes)
    assert recording.graph.nodes[-1].op == "Output" or "not used" in recording.graph.notes[0]
    assert torch.compile.__module__ == "torch"
    torch.compiler.reset()


SCRIPT = """
import sys
import torch
import multiboard.torch as mbt

class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.dense = torch.nn.Linear(4, 4)

    def forward(self, x):
        return torch.compile(lambda x: self.dense(x).relu(), backend="eager")(x)

model, x = Model(), torch.ones(2, 4)
plain = torch.nn.Linear(4, 4)
recording = mbt.graph(plain)
plain(x)
assert "torch._dynamo" not in sys.modules
recording = mbt.graph(model)
found = model(x)
assert "torch._dynamo" in sys.modules
assert torch.equal(found, model.dense(x).relu())
assert {"aten::addmm", "aten::relu"} <= {node.op for node in recording.graph.nodes}, recording.graph
assert recording.graph.notes == ()
"""


def test_the_compiler_is_loaded_by_the_first_function_that_is_compiled_and_no_sooner():
    subprocess.run([sys.executable, "-c", SCRIPT], check=True, timeout=120)
