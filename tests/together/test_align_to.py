"""A run that is aligned to that of another framework is overlaid by a dashboard that knows nothing of either."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch
from flax import linen
from torch import nn

import multiboard as mb
import multiboard.jax as mbj
import multiboard.torch as mbt
from multiboard.compare.layer_table import layer_table, logged_rows

GROUPS = ("params", "grads", "updates", "optimizer_state")
X = np.random.default_rng(0).normal(size=(8, 6)).astype(np.float32)


class TorchModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.ln, self.fc2, self.head = nn.Linear(6, 12), nn.LayerNorm(12), nn.Linear(12, 12), nn.Linear(12, 3)

    def forward(self, x):
        return self.head(torch.relu(self.fc2(self.ln(self.fc1(x)))))


class LinenModel(linen.Module):
    """The same model under the names that linen counts, the outer layer first, with one parameter more."""

    @linen.compact
    def __call__(self, x):
        x = linen.Dense(12)(linen.LayerNorm()(linen.Dense(12)(x)))
        gate = self.param("gate", linen.initializers.ones, (5, 7)).mean()
        return linen.Dense(3)(linen.relu(x)) * gate


def train_torch(directory):
    """Make two updates, both captured."""
    model = TorchModel()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    with mb.Run(directory) as run, mbt.watch(model, optimizer, run, every=1, log=GROUPS, activations="*"):
        for _ in range(2):
            optimizer.zero_grad()
            model(torch.tensor(X)).square().mean().backward()
            optimizer.step()


def train_flax(directory, *, log=GROUPS, activations="*", histograms=True, **options):
    """Make two updates, both captured."""
    model, tx = LinenModel(), mbj.tap(optax.adam(0.01))
    shapes, rng = jax.eval_shape(model.init, jax.random.key(0), jnp.asarray(X)), np.random.default_rng(0)
    params = jax.tree.map(lambda one: jnp.asarray(rng.normal(size=one.shape), one.dtype), shapes)

    def step(params, state, x):
        loss, grads = jax.value_and_grad(lambda params: jnp.square(model.apply(params, x)).mean())(params)
        changes, state = tx.update(grads, state, params)
        return optax.apply_updates(params, changes), state, loss

    with mb.Run(directory, **options) as run:
        what = {"log": log, "activations": activations, "histograms": histograms}
        train = mbj.wrap_train_step(step, run, every=1, start_step=run.start_step, **what)
        state = tx.init(params)
        for _ in range(2):
            params, state, _ = train(params, state, jnp.asarray(X))


@pytest.fixture(scope="module")
def aligned(board_dir):
    """The directory of both runs, of which the second one is aligned to the first."""
    train_torch(board_dir / "align" / "torch")
    with pytest.warns(mb.errors.MultiboardWarning, match="keep their own names") as said:
        train_flax(board_dir / "align" / "flax", align_to=board_dir / "align" / "torch")
    assert len(said) == 1
    return board_dir / "align"


def of_layers(tags):
    heads = ("params/", "grads/", "updates/", "optimizer_state/", "activations/", "norm/", "update_ratio/")
    return {tag for tag in tags if tag.startswith(heads)}


def test_both_runs_have_the_same_tags_for_the_layers_that_both_have(aligned):
    runs = mb.read(aligned)
    for kind in ("histograms", "scalars"):
        ours, theirs = (of_layers(getattr(runs[name], kind)) for name in ("torch", "flax"))
        assert ours <= theirs
        assert {tag for tag in theirs - ours if "gate" not in tag} == set()
        assert any("gate" in tag for tag in theirs)


def test_norms_are_those_of_the_layer_under_the_other_name(aligned, tmp_path):
    train_flax(tmp_path, activations=None, histograms=False)
    own, renamed = (mb.read(path)["."].scalars for path in (tmp_path, aligned / "flax"))
    names = {"Dense_1": "fc1", "Dense_0": "fc2", "Dense_2": "head"}
    for layer, other in names.items():
        tags = [f"norm/{group}/{{}}/kernel" for group in GROUPS[:3]]
        tags += ["update_ratio/{}/kernel", "norm/optimizer_state/{}/kernel/first_moment"]
        for tag in tags:
            np.testing.assert_allclose(own[tag.format(layer)].value, renamed[tag.format(other)].value, rtol=1e-5)


def test_the_table_of_the_run_notes_both_names(aligned):
    table = logged_rows(mb.read(aligned)["flax"])
    assert table.aligned_to == "torch"
    assert {(layer.path, layer.own) for layer in table.layers if layer.path != layer.own and layer.own} == {
        ("fc1", "Dense_1"), ("ln", "LayerNorm_0"), ("fc2", "Dense_0"), ("head", "Dense_2")
    }  # fmt: skip
    native = {role.tag: role.native for layer in table.layers for role in layer.roles}
    assert (native["fc2/kernel"], native["gate"]) == ("Dense_0/kernel", "gate")


def test_the_comparison_finds_equal_paths_certain(aligned):
    found = mb.compare(aligned / "torch", aligned / "flax")
    levels = {pair.a: (pair.b, pair.level) for pair in found.alignments["flax"].pairs}
    assert levels == {name: (name, "certain") for name in ("fc1", "ln", "fc2", "head")}


def test_a_resumed_run_goes_on_under_the_same_names(aligned, tmp_path):
    options = {"align_to": aligned / "torch", "log": ("params",), "activations": None}
    for resume in (False, True):
        with pytest.warns(mb.errors.MultiboardWarning, match="keep their own names"):
            train_flax(tmp_path, resume=resume, **options)
    run = mb.read(tmp_path)["."]
    assert run.histograms["params/fc2/kernel"].step.tolist() == [0, 1, 2, 3]
    assert len(run.tensors["multiboard/run_info"]) == 1
    assert [layer.path for layer in layer_table(run) if layer.order is not None] == ["fc1", "ln", "fc2", "head"]


@pytest.mark.usefixtures("aligned")
def test_a_dashboard_lists_the_same_tags_for_both_runs(board):
    names = {"align/torch", "align/flax"}
    lists = [
        board.wait_for(lambda plugin=plugin: board.json(f"data/plugin/{plugin}/tags"), lambda found: names <= found.keys())
        for plugin in ("scalars", "histograms")
    ]
    for found in lists:
        ours, theirs = (of_layers(found[f"align/{name}"]) for name in ("torch", "flax"))
        assert ours
        assert ours == {tag for tag in theirs if "gate" not in tag}
