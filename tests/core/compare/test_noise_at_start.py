"""The first step of runs with equal weights shows what rounding makes, and hides no mistake."""

import numpy as np
import pytest

import multiboard as mb
from multiboard.compare.noise import RoundingModel

LAYERS = ("first", "second", "third", "fourth", "fifth")


def write(directory, error, *, mistake=(), steps=(0, 10), seed=0):
    """Write equal parameters, and activations and gradients with a relative error; `mistake` names layers that are 3 % off."""
    weights, rng = np.random.default_rng(0), np.random.default_rng(seed)
    with mb.Run(directory) as run:
        for step in steps:
            for layer in LAYERS:
                kernel = weights.normal(size=(32, 32))
                found = {f"params/{layer}/kernel": kernel}
                for tag in (f"activations/{layer}", f"grads/{layer}/kernel"):
                    off = 1.03 if layer in mistake else 1 + error * rng.uniform(0.5, 1.5)
                    found[tag] = kernel * off
                for tag, values in found.items():
                    run.histogram(tag, values, step)
                    run.log({f"norm/{tag}": float(np.linalg.norm(values))}, step)
    return directory


@pytest.fixture
def baseline(tmp_path):
    return write(tmp_path / "a", 0.0)


def scale(found):
    """Return how many times the usual limit the noise is."""
    usual = 2 * RoundingModel().floor("grads", "", np.array([10]))[0]
    return next(one for one in found.findings if one.kind == "grads").noise[1] / usual


def test_what_the_first_step_shows_is_printed(tmp_path, baseline):
    found = mb.compare(baseline, write(tmp_path / "b", 1e-6, seed=1))
    assert found.starts["b"].tensors == 10
    assert found.starts["b"].median == pytest.approx(1e-6, rel=0.5)
    assert str(found).count("norms are 1e-06 apart at step 0 (median of 10, equal weights)") == 1
    assert found.code == 0


def test_larger_rounding_errors_scale_the_model(tmp_path, baseline):
    model = RoundingModel().floor("grads", "", np.array([0]))[0]
    found = mb.compare(baseline, write(tmp_path / "b", 3 * model, seed=1))
    assert scale(found) == pytest.approx(found.starts["b"].median / model)
    assert scale(found) > 1.5


def test_smaller_rounding_errors_leave_the_model_as_it_is(tmp_path, baseline):
    assert scale(mb.compare(baseline, write(tmp_path / "b", 1e-9, seed=1))) == pytest.approx(1)


@pytest.mark.parametrize("mistake", [("third",), LAYERS])
def test_a_mistake_at_the_first_step_is_no_noise(tmp_path, baseline, mistake):
    found = mb.compare(baseline, write(tmp_path / "b", 1e-7, mistake=mistake, seed=1))
    assert scale(found) == pytest.approx(1)
    assert (found.divergence[0].kind, found.divergence[0].layer, found.divergence[0].step) == ("activations", mistake[0], 0)
    assert found.starts["b"].name == mistake[0]


def test_a_mistake_within_tolerance_is_told_where_it_begins(tmp_path, baseline):
    found = mb.compare(baseline, write(tmp_path / "b", 1e-5, seed=1))
    assert found.code == 0
    assert scale(found) == pytest.approx(1)
    assert "b: activations first is 9e-06 apart at step 0, more than rounding makes" in found.noise


def test_where_a_mistake_is_told_the_noise_does_not_tell_it_once_more(tmp_path, baseline):
    found = mb.compare(baseline, write(tmp_path / "b", 1e-7, mistake=("third",), seed=1))
    assert "more than rounding" not in found.noise
    assert "b parts first in activations third at step 0" in str(found)


def test_runs_of_other_weights_show_no_noise(trained):
    assert mb.compare(trained("a"), trained("b", seed=1)).starts == {}


@pytest.mark.parametrize("noise", ["f32", "bf16"])
def test_a_model_that_was_asked_for_is_not_scaled(tmp_path, baseline, noise):
    model = RoundingModel(noise)
    found = mb.compare(baseline, write(tmp_path / "b", 1e-6, seed=1), noise=noise)
    grads = next(one for one in found.findings if one.kind == "grads")
    assert grads.noise.tolist() == (2 * model.floor("grads", "", grads.step)).tolist()


def test_an_update_may_be_off_by_the_rounding_of_its_parameter(tmp_path):
    def write(name, update):
        with mb.Run(tmp_path / name) as run:
            run.log({"norm/updates/fc/kernel": update, "update_ratio/fc/kernel": update / 10}, 0)
        return tmp_path / name

    a, b, zero = write("a", 0.02), write("b", 0.03), write("zero", 0.0)
    assert mb.compare(a, b, noise="bf16").code == mb.compare(zero, b, noise="bf16").code == 0
    assert mb.compare(a, b, noise="f32").code == mb.compare(zero, b, noise="f32").code == 1
