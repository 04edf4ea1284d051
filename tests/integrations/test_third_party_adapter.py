"""A package that multiboard does not know brings an adapter and a mirror: they are found, used, and compared with PyTorch."""

import re

import numpy as np
import pytest
import torch
from torch import nn

import multiboard as mb
from multiboard import adapter
from multiboard.stored_layers import stored_layers


def weights():
    rng = np.random.default_rng(0)
    shapes = {"first": (4, 8), "last": (8, 2)}
    return {name: (rng.normal(size=shape) / 2, np.zeros(shape[1])) for name, shape in shapes.items()}


def data(step):
    rng = np.random.default_rng(step + 1)
    return rng.normal(size=(16, 4)).astype(np.float32), rng.normal(size=(16, 2)).astype(np.float32)


def do_nothing(_step, _handle):
    """Be a training that nobody acts on."""


def train_toy(log_dir, *, steps=6, act=do_nothing, **options):
    import toynet

    layers = {name: toynet.Dense(*values) for name, values in weights().items()}
    net = toynet.Net(first=layers["first"], relu=toynet.Relu(), last=layers["last"])
    optimizer = toynet.SGD(net, lr=0.1)
    with mb.Run(log_dir) as run:
        handle = mb.watch(net, optimizer, run, **options)
        for step in range(steps):
            act(step, handle)
            run.log({"train/loss": net.loss(*data(step))}, step)
            optimizer.step()
    return handle


class TorchNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(4, 8), nn.Linear(8, 2)
        with torch.no_grad():
            for name, (kernel, bias) in weights().items():
                getattr(self, name).weight.copy_(torch.tensor(kernel.T))
                getattr(self, name).bias.copy_(torch.tensor(bias))

    def forward(self, x):
        return self.last(self.first(x).relu())


def train_torch(log_dir, steps=6):
    net = TorchNet()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with mb.Run(log_dir) as run:
        mb.watch(net, optimizer, run, every=2)
        for step in range(steps):
            x, y = map(torch.tensor, data(step))
            loss = (net(x) - y).square().mean()
            optimizer.zero_grad()
            loss.backward()
            run.log({"train/loss": loss}, step)
            optimizer.step()


def test_a_loop_of_a_foreign_framework_is_watched_under_the_tags_of_all_frameworks(tmp_path, install_toynet):
    install_toynet()
    train_toy(tmp_path / "toy", every=2)
    run = mb.read(tmp_path / "toy")["."]
    for group in ("params", "grads", "updates"):
        for path in ("first/kernel", "first/bias", "last/kernel", "last/bias"):
            assert run.histograms[f"{group}/{path}"].step.tolist() == [0, 2, 4]
            assert run.scalars[f"norm/{group}/{path}"].step.tolist() == [0, 2, 4]
    assert run.scalars["update_ratio/first/kernel"].step.tolist() == [0, 2, 4]
    assert "toynet" in run.facts["framework"].split(", ")
    assert run.facts["version/toynet"] == "0.1"


def test_the_same_model_in_a_foreign_framework_and_in_torch_is_compared_layer_by_layer(tmp_path, install_toynet):
    install_toynet()
    train_toy(tmp_path / "toy", every=2)
    train_torch(tmp_path / "torch")
    assert [row.path for row in stored_layers(tmp_path / "toy").layers] == ["first", "relu", "last"]
    found = mb.compare(tmp_path / "torch", tmp_path / "toy")
    assert found.code == 0, str(found)
    compared = {row.layer for row in found.layers}
    assert {"first", "last"} <= {name.partition("/")[0] for name in compared}
    found.assert_close()


def test_a_training_that_differs_is_told_across_frameworks(tmp_path, install_toynet):
    install_toynet()

    def break_it(step, handle):
        if step == 3:
            handle._net.layers["last"].params["kernel"] *= 2

    train_toy(tmp_path / "toy", every=2, act=break_it)
    train_torch(tmp_path / "torch")
    assert mb.compare(tmp_path / "torch", tmp_path / "toy").code == 1


def test_the_handle_of_a_foreign_adapter_pauses_and_lets_go(tmp_path, install_toynet):
    install_toynet()
    acts = {1: "pause", 3: "log_now", 4: "remove"}
    train_toy(tmp_path / "toy", every=1, act=lambda step, handle: getattr(handle, acts.get(step, "__repr__"))())
    assert mb.read(tmp_path / "toy")["."].histograms["params/first/kernel"].step.tolist() == [0, 3]


def test_every_handle_has_what_the_protocol_says(tmp_path, install_toynet):
    install_toynet()
    net = nn.Linear(2, 2)
    with mb.Run(tmp_path / "run") as run:
        handles = [train_toy(tmp_path / "toy", steps=1), mb.watch(net, torch.optim.SGD(net.parameters(), lr=0.1), run)]
    for handle in handles:
        assert all(callable(getattr(handle, name)) for name in ("pause", "resume", "log_now", "remove"))
        assert isinstance(handle.step, int)
        handle.remove()
        handle.remove()


def test_arrays_of_a_foreign_framework_are_logged_as_arrays(tmp_path, install_toynet):
    install_toynet()
    mb.adapters()
    import toynet

    with mb.Run(tmp_path / "run") as run:
        run.log({"loss": toynet.Array(0.5)}, 0)
        run.histogram("h", toynet.Array([1.0, 2.0]), 0)
    data = mb.read(tmp_path / "run")["."]
    assert data.scalars["loss"].value.tolist() == [0.5]
    assert data.histograms["h"].step.tolist() == [0]


def test_all_adapters_are_listed_with_what_they_need(install_toynet):
    install_toynet()
    found = mb.adapters()
    assert {"torch", "jax", "keras", "lightning", "transformers", "toynet"} <= set(found)
    assert found["toynet"] == adapter.AdapterInfo("toynet", "toynet-multiboard", "toynet", installed=True, loaded=True)
    assert found["torch"].package == "multiboard"
    assert found["torch"].loaded


@pytest.mark.parametrize(
    ("entry_point", "problem"),
    [
        ("toynet_multiboard:NOTHING", "AttributeError"),
        ("toynet_nowhere:ADAPTER", "ModuleNotFoundError"),
        ("toynet_multiboard:tags", "it lacks name, module, recognizes, watch"),
    ],
)
def test_a_broken_adapter_is_said_and_ends_nothing(tmp_path, install_toynet, entry_point, problem):
    install_toynet("toynet_multiboard:ADAPTER", entry_point)
    with pytest.warns(mb.MultiboardWarning, match=problem):
        found = mb.adapters()
    assert problem in found["toynet"].problem
    train_torch(tmp_path / "torch", steps=1)
    assert "params/first/kernel" in mb.read(tmp_path / "torch")["."].histograms


def test_a_model_that_nobody_recognizes_is_refused_with_the_adapters_there_are(tmp_path, install_toynet):
    install_toynet()
    with mb.Run(tmp_path / "run") as run, pytest.raises(mb.ArgumentError) as refused:
        mb.watch({"w": 1.0}, None, run)
    assert re.search(
        r"'model' got \{'w': 1.0\} \(dict\); no adapter recognizes it; .*torch \(in use\).*toynet", str(refused.value)
    )


def test_a_model_that_its_framework_trains_is_refused_with_the_line_to_write(tmp_path):
    nnx = pytest.importorskip("flax.nnx")
    with mb.Run(tmp_path / "run") as run, pytest.raises(mb.ArgumentError, match=r"multiboard\.jax\.wrap_train_step"):
        mb.watch(nnx.Linear(2, 2, rngs=nnx.Rngs(0)), None, run)


def test_a_mirror_of_another_package_sees_the_scalars_of_a_run(tmp_path, install_toynet):
    install_toynet()
    with mb.Run(tmp_path / "run", mirror="list") as run:
        run.log({"x": 1.0}, 0)
    from toynet_multiboard.mirror import ListMirror

    assert ListMirror.seen == [(0, {"x": 1.0}), "closed"]


def test_an_adapter_with_arrays_that_nothing_brings_to_the_host_is_broken(install_toynet, monkeypatch):
    install_toynet()
    monkeypatch.delattr("toynet_multiboard.Adapter.to_host")
    with pytest.warns(mb.MultiboardWarning, match="it lacks to_host"):
        assert mb.adapters()["toynet"].problem


def test_a_mirror_whose_package_is_broken_is_refused(tmp_path, install_toynet):
    install_toynet("toynet_multiboard.mirror:ListMirror", "toynet_multiboard.mirror:Gone")
    with pytest.raises(mb.ArgumentError, match=r"'mirror' got 'list'.*AttributeError"):
        mb.Run(tmp_path / "run", mirror="list")
