"""The demo's runs of several frameworks are close, and one that was trained otherwise is not."""

import contextlib
import io

import pytest

import multiboard as mb


def train(framework, log_dir, **changes):
    """Train the demo's model in this process."""
    pytest.importorskip("sklearn")
    program = pytest.importorskip(f"multiboard.demo.train_{framework}")
    from multiboard.demo.digits import Settings

    with contextlib.redirect_stdout(io.StringIO()):
        program.main(Settings(str(log_dir), **{"steps": 9, "every": 2} | changes))
    return log_dir


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    directory = tmp_path_factory.mktemp("demo")
    return {
        "torch": train("torch", directory / "torch"),
        "flax": train("flax", directory / "flax"),
        "other": train("torch", directory / "other", learning_rate=0.00505),
    }


def test_two_frameworks_are_within_the_default_tolerance_in_every_layer(runs):
    found = mb.compare(runs["torch"], runs["flax"])
    assert found.code == 0, str(found)
    layers = {"conv1", "norm1", "conv2", "norm2", "dense1", "dense2", "dense3"}
    assert {row.layer for row in found.layers} == layers | {"gelu1", "gelu2", "gelu3", "gelu4"}
    assert {row.kind for row in found.layers} == {"params", "grads", "updates", "buffers", "activations"}
    assert max(row.distance for row in found.layers) < 1e-4
    assert all(pair.level != "guess" for pair in found.alignments["flax"].pairs)


@pytest.mark.parametrize("baseline", ["torch", "flax"])
def test_a_learning_rate_that_is_a_hundredth_larger_is_found_at_the_first_step(runs, baseline):
    found = mb.compare(runs[baseline], runs["other"])
    assert found.code == 1
    assert (found.divergence[0].name, found.divergence[0].step) == ("train/learning_rate", 0)
    assert {(one.kind, one.step) for one in found.divergence[1:]} == {("updates", 0)}
    assert found.divergence[1].distance == pytest.approx(0.01, rel=0.05)
    assert [one.name for one in found.gate if one.what == "config"] == ["learning_rate"]
    assert [one.title for one in found.diagnoses] == ["another learning rate"]
    grads = mb.compare(runs[baseline], runs["other"], kinds=["grads"], tolerance={"grads": 1e-5})
    assert grads.divergence[0].step > 0
