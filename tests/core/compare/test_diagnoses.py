"""What is said of mistakes in the training: losses, schedules, updates, evaluation, statistics of batches, initial weights."""

import json

import numpy as np
import pytest

import multiboard as mb


def titles(found):
    return [one.title for one in found.diagnoses]


def test_nothing_is_said_of_runs_that_are_equal(written):
    found = mb.compare(written("a"), written("b"))
    assert (found.code, found.diagnoses) == (0, ())


def test_nothing_is_said_where_nothing_fits(written):
    odd = written("b", grads=lambda step, path, value: value * (1 + (step >= 20) * 0.3 * (path == "fc1/kernel")))
    found = mb.compare(written("a"), odd)
    assert found.code == 1
    assert found.diagnoses == ()


def test_losses_and_gradients_of_one_factor_are_a_sum_instead_of_a_mean(written):
    (found,) = mb.compare(written("a"), written("b", loss=32.0, grads=32.0)).diagnoses
    assert (found.title, found.step, found.layer) == ("reduction of the loss", 0, "")
    assert "32 examples" in found.text
    (other,) = mb.compare(written("a"), written("c", loss=0.7, grads=0.7)).diagnoses
    assert "weighted or averaged otherwise" in other.text


def test_gradients_of_one_factor_without_the_loss_are_a_scale_and_of_another_one_each_step_a_clipping(written):
    assert titles(mb.compare(written("a"), written("b", grads=8.0))) == ["scale of gradients"]
    clipped = written("c", grads=lambda step, _, value: value * (0.2 + step / 50))
    assert titles(mb.compare(written("a"), clipped)) == ["clipping of gradients"]


def test_a_loss_alone_is_logged_otherwise(written):
    assert titles(mb.compare(written("a"), written("b", loss=1.5))) == ["logged loss"]


def test_without_outputs_of_layers_a_forward_pass_that_differs_is_told_to_be_captured(written):
    rng = np.random.default_rng(1)
    other = written("b", ["activations"], loss=1.3, grads=lambda _, __, value: value * rng.uniform(0.5, 1.5))
    (found,) = mb.compare(written("a", ["activations"]), other).diagnoses
    assert found.title == "forward pass, batch or loss"
    assert "activations=['*']" in found.text


@pytest.mark.parametrize(("shift", "title"), [(1, "learning-rate schedule off by one"), (-3, "shifted learning-rate schedule")])
def test_a_shift_of_a_schedule_is_told_in_steps(tmp_path, shift, title):
    for name, ahead in (("a", 0), ("b", shift)):
        with mb.Run(tmp_path / name) as log:
            for step in range(0, 100, 5):
                log.log({"train/learning_rate": 0.1 * min((step + ahead + 10) / 20, 1 - (step + ahead) / 200)}, step)
    (found,) = mb.compare(tmp_path / "a", tmp_path / "b").diagnoses
    assert found.title == title
    assert f"{abs(shift)} step" in found.text
    assert ("ahead" if shift > 0 else "behind") in found.text


def test_a_learning_rate_of_one_factor_and_a_schedule_of_another_form_are_told_apart(written):
    assert titles(mb.compare(written("a"), written("b", learning_rate=2.0))) == ["another learning rate"]
    other = written("c", learning_rate=lambda step, _, value: value * (1 + step**2))
    assert titles(mb.compare(written("a"), other)) == ["another schedule"]


def test_updates_of_one_factor_are_another_learning_rate_that_was_not_logged(written):
    assert titles(mb.compare(written("a"), written("b", updates=1.1))) == ["another learning rate"]


def test_updates_of_kernels_alone_or_of_all_but_kernels_are_weight_decay(written):
    def part(kernels):
        return lambda _, path, value: value - 2e-3 * path.endswith("kernel") if kernels else value - 2e-3 * path.endswith("scale")

    assert titles(mb.compare(written("a"), written("b", updates=part(True)))) == ["weight decay"]
    (found,) = mb.compare(written("a"), written("c", updates=part(False))).diagnoses
    assert (found.title, found.layer) == ("weight decay on norms and biases", "norm")
    assert "about 0.2 of the learning rate" in " ".join(found.evidence)


def test_updates_that_are_smaller_where_gradients_are_are_an_epsilon_of_the_optimizer(written):
    size = {path: number for number, path in enumerate(("conv1", "conv2", "norm", "fc1", "fc2", "fc3"), 1)}
    other = written("b", updates=lambda _, path, value: value * (1 - 0.3 / size[path.partition("/")[0]]))
    assert titles(mb.compare(written("a"), other)) == ["epsilon of the optimizer"]


def test_updates_that_differ_later_are_what_an_optimizer_remembers(written):
    other = written("b", updates=lambda step, path, value: value * (1 + (step > 0) * (0.3 if "fc1" in path else 0.1)))
    (found,) = mb.compare(written("a"), other).diagnoses
    assert (found.title, found.step) == ("momentum or moments of the optimizer", 10)


def test_only_numbers_of_the_evaluation_are_a_model_that_is_evaluated_as_it_is_trained(written):
    (found,) = mb.compare(written("a"), written("b", val=1.2)).diagnoses
    assert found.title == "training mode in evaluation"
    assert "dropout and batch norm" in " ".join(found.evidence)
    assert "evaluate()" in found.text


def test_the_ratio_of_running_means_tells_both_momenta(written, only):
    (found,) = mb.compare(written("a"), written("b", buffers=only("norm/mean", 9.0))).diagnoses
    assert (found.title, found.layer, found.step) == ("momentum of a batch norm", "norm", 0)
    assert "0.9 and 0.1" in " ".join(found.evidence)


def test_running_variances_alone_are_computed_over_n_or_over_one_less(written, only):
    assert titles(mb.compare(written("a"), written("b", buffers=only("norm/var", 64 / 63)))) == ["biased or unbiased variance"]


def test_initial_weights_that_are_scaled_are_a_gain_and_others_are_not_ported(written, only):
    (found,) = mb.compare(written("a"), written("b", params=only("fc1/kernel", 2**0.5))).diagnoses
    assert (found.title, found.layer, found.step) == ("gain of initial weights", "fc1", 0)
    assert "1.414 times" in found.text
    rng = np.random.default_rng(2)
    other = written("c", params=lambda _, __, value: rng.normal(size=value.shape))
    assert titles(mb.compare(written("a"), other)) == ["other initial weights"]


def test_biases_that_one_run_lacks_are_told_together(tmp_path):
    for name, roles in (("a", ("kernel", "bias")), ("b", ("kernel",))):
        with mb.Run(tmp_path / name, facts={"framework": "torch"}) as run:
            for layer, role in ((layer, role) for layer in ("fc1", "fc2", "out") for role in roles):
                run.histogram(f"params/{layer}/{role}", np.ones(8), 0)
    (found,) = mb.compare(tmp_path / "a", tmp_path / "b").diagnoses
    assert (found.title, found.layer, found.step) == ("missing bias", "fc1", None)
    assert "fc1, fc2, out" in found.text
    assert "bias=True" in found.text
    assert found.evidence == ("fc1 has a bias of 8 in a, and none in b", "so it is with 3 layers")


def test_a_diagnosis_is_in_the_text_the_json_and_the_report_for_test_tools(written):
    found = mb.compare(written("a"), written("b", loss=32.0, grads=32.0))
    (told,) = json.loads(found.to_json())["diagnoses"]
    assert told["title"] == "reduction of the loss"
    assert "b may have: reduction of the loss (step 0)" in str(found)
    assert "b may have: reduction of the loss" in found.to_junit()


def test_layers_are_mapped_for_each_run_alone(trained, tmp_path):
    a, b, c = trained("a"), trained("b", names=("one", "two")), trained("c", names=("eins", "zwei"))
    maps = {"b": {"first": "one", "second": "two"}, "c": {"first": "eins", "second": "zwei"}}
    found = mb.compare(a, b, c, layers=maps)
    assert found.code == 0
    assert {(row.run, row.other) for row in found.layers} == {
        (run, f"{layer}/kernel") for run, layers in maps.items() for layer in layers.values()
    }
    (tmp_path / "layers.toml").write_text("".join(
        f"[{run}]\n" + "".join(f'{mine} = "{other}"\n' for mine, other in layers.items()) for run, layers in maps.items()
    ))  # fmt: skip
    assert mb.compare(a, b, c, layers=tmp_path / "layers.toml").code == 0
    with pytest.raises(mb.ArgumentError, match="the runs beside the baseline are b, c"):
        mb.compare(a, b, c, layers={"d": {"first": "one"}})
