"""Attention that PyTorch keeps in one tensor is compared with the three that others keep."""

import numpy as np
import pytest

import multiboard as mb

PIECES = ("query", "key", "value")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run of PyTorch, and one that logs the same parameters as Flax and Keras name and split them."""
    torch = pytest.importorskip("torch")
    import multiboard.torch as mbt

    directory = tmp_path_factory.mktemp("fused")
    model = torch.nn.ModuleDict({"attn": torch.nn.MultiheadAttention(24, 4), "fc": torch.nn.Linear(24, 48)})
    weights = {name: value.detach().numpy().copy() for name, value in model.named_parameters()}
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with mb.Run(directory / "torch") as run:
        mbt.watch(model, optimizer, run=run, every=1)
        x = torch.ones(2, 5, 24)
        model["fc"](model["attn"](x, x, x)[0]).square().mean().backward()
        optimizer.step()
    for name, factor in (("split", 1.0), ("changed", 1.1)):
        with mb.Run(directory / name) as run:
            for path, values in split(weights).items():
                scaled = values * (factor if path == "attn/key/kernel" else 1.0)
                run.histogram(f"params/{path}", scaled, 0)
                run.log({f"norm/params/{path}": float(np.linalg.norm(scaled))}, 0)
    return {name: directory / name for name in ("torch", "split", "changed")}


def split(weights):
    """Rename and split parameters of PyTorch."""
    found = {}
    for name, values in weights.items():
        role = "bias" if name.endswith("bias") else "kernel"
        if "in_proj" in name:
            found |= {f"attn/{piece}/{role}": part.T for piece, part in zip(PIECES, np.split(values, 3), strict=True)}
        else:
            found[f"{'attn/out' if 'out_proj' in name else 'fc'}/{role}"] = values.T
    return found


@pytest.mark.parametrize("order", [("torch", "split"), ("split", "torch")])
def test_three_tensors_are_compared_as_the_sum_of_their_counts(runs, order):
    found = mb.compare(*(runs[name] for name in order), kinds=["params"])
    assert found.code == 0, str(found)
    whole = {tuple(sorted((row.name, row.other))) for row in found.layers if "in_proj" in row.name + row.other}
    assert whole == {("attn/in_proj_bias", "attn/query/bias"), ("attn/in_proj_weight", "attn/query/kernel")}
    assert len(found.layers) == 6
    assert not any(row.emd for row in found.layers)
    assert all(abs(row.norm_ratio) < 1e-6 for row in found.layers)


def test_a_change_in_one_of_the_three_is_found(runs):
    found = mb.compare(runs["torch"], runs["changed"], kinds=["params"])
    assert [one.name for one in found.divergence] == ["attn/in_proj_weight"]
