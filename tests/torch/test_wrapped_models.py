"""Compiled and wrapped models write the same tags as the bare one."""

import pytest
import torch
from torch import nn

import multiboard as mb
import multiboard.torch as mbt


class Parallel(nn.Module):
    """Wraps as DistributedDataParallel does: the model is called `module`."""

    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, x):
        return self.module(x)


WRAPPERS = {
    "torch.compile": lambda model: torch.compile(model, backend="aot_eager"),
    "DataParallel": nn.DataParallel,
    "a wrapper that names it module": Parallel,
    "compiled and wrapped": lambda model: Parallel(torch.compile(model, backend="aot_eager")),
}


@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # inside torch.compile
def test_a_wrapped_model_writes_the_tags_and_values_of_the_bare_one(wrap, network, train, log_dir, tmp_path):
    found = []
    for directory, wrapper in ((tmp_path / "bare", lambda model: model), (log_dir, wrap)):
        model = wrapper(network())
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        with mb.Run(directory) as run:
            mbt.watch(model, optimizer, run, every=2)
            train(model, optimizer, 3)
        found.append(mb.read(directory)["."])
    bare, wrapped = found
    assert list(wrapped.histograms) == list(bare.histograms)
    for tag in ("norm/params/dense/kernel", "norm/grads/norm/scale"):
        assert wrapped.scalars[tag].value == pytest.approx(bare.scalars[tag].value, rel=1e-6)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # inside torch.compile
def test_a_wholly_compiled_step_is_captured_and_not_compiled_again_for_each_step(network, log_dir, written):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    compiled_graphs = []

    def counting_backend(graph, _inputs):
        compiled_graphs.append(graph)
        return graph.forward

    def step(x):
        model(x).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()

    step = torch.compile(step, backend=counting_backend)
    x = torch.randint(0, 11, (4, 5))
    with mb.Run(log_dir) as run, mbt.watch(model, optimizer, run, every=2):
        counts = []
        for _ in range(6):
            step(x)
            counts.append(len(compiled_graphs))
    assert written().histograms["grads/dense/kernel"].step.tolist() == [0, 2, 4]
    assert counts[-1] == counts[2]
