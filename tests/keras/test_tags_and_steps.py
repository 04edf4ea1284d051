"""Tags, steps and descriptions are those of every adapter."""

import numpy as np

NINE = [
    "conv1/kernel",
    "conv1/bias",
    "norm/scale",
    "norm/bias",
    "conv2/kernel",
    "hidden/kernel",
    "hidden/bias",
    "logits/kernel",
    "logits/bias",
]


def test_a_cnn_has_nine_tensors_under_the_names_of_all_frameworks_in_definition_order(logged_fit):
    assert list(logged_fit.data.histograms) == [f"{group}/{path}" for group in ("params", "grads", "updates") for path in NINE]


def test_captures_are_at_every_third_step_from_zero(logged_fit):
    assert all(column.step.tolist() == [0, 3, 6] for column in logged_fit.data.histograms.values())
    assert logged_fit.data.scalars["norm/params"].step.tolist() == [0, 3, 6]
    assert logged_fit.data.scalars["update_ratio"].step.tolist() == [0, 3, 6]
    assert logged_fit.data.scalars["train/learning_rate"].step.tolist() == [0, 3, 6]


def test_batch_metrics_are_at_every_step(logged_fit):
    assert logged_fit.data.scalars["train/loss"].step.tolist() == list(range(8))
    assert logged_fit.data.scalars["train/accuracy"].step.tolist() == list(range(8))


def test_validation_and_epoch_are_at_the_last_update_before_them(logged_fit):
    scalars = logged_fit.data.scalars
    for tag, values in [("val/loss", logged_fit.history["val_loss"]), ("val/accuracy", logged_fit.history["val_accuracy"])]:
        assert scalars[tag].step.tolist() == [3, 7]
        np.testing.assert_allclose(scalars[tag].value, values, rtol=1e-6)
    assert scalars["train/epoch"].step.tolist() == [3, 7]
    assert scalars["train/epoch"].value.tolist() == [0, 1]


def test_descriptions_tell_native_name_class_and_stage(logged_fit):
    histograms, model = logged_fit.data.histograms, logged_fit.model.name
    assert histograms["params/norm/scale"].description in {
        "`norm/gamma` of BatchNormalization",
        f"`{model}/norm/gamma` of BatchNormalization",
    }
    assert histograms["grads/conv1/kernel"].description.endswith("conv1/kernel` of Conv2D, as the optimizer gets it")


def test_hyper_parameters_are_written_with_the_end_of_the_fit(logged_fit):
    assert logged_fit.data.hparams == {"rate": 0.01}
    assert logged_fit.data.status == "success"


def test_nothing_else_is_written(logged_fit):
    expected = {"train/loss", "train/accuracy", "train/learning_rate", "train/epoch", "val/loss", "val/accuracy"}
    of_captures = ("norm/", "nonfinite/", "update_ratio", "perf/")
    assert {tag for tag in logged_fit.data.scalars if not tag.startswith(of_captures)} == expected


def test_without_captures_a_schedule_is_logged_as_the_rate_of_each_update(fit, dense, keras_schedule):
    data = fit(dense(keras_schedule), epochs=2, callback={"update_freq": "batch"})
    np.testing.assert_allclose(data.scalars["train/learning_rate"].value, [0.5 * 0.9**n for n in range(8)], rtol=1e-6)


def test_a_schedule_is_logged_as_the_rate_of_each_captured_update(fit, dense, keras_schedule):
    data = fit(dense(keras_schedule), epochs=2, callback={"every": 3})
    np.testing.assert_allclose(data.scalars["train/learning_rate"].value, [0.5 * 0.9**n for n in (0, 3, 6)], rtol=1e-6)


def test_without_captures_the_learning_rate_is_logged_at_the_last_update_of_each_epoch(fit, dense, keras_schedule):
    data = fit(dense(keras_schedule), epochs=2, callback={})
    assert data.scalars["train/learning_rate"].step.tolist() == [3, 7]
    np.testing.assert_allclose(data.scalars["train/learning_rate"].value, [0.5 * 0.9**n for n in (3, 7)], rtol=1e-6)


def test_with_captures_the_learning_rate_is_at_their_steps_alone_also_in_a_fit_without_one(fit, dense):
    model = dense()
    fit(model, epochs=1, callback={"every": 100})
    data = fit(model, epochs=1, callback={"every": 100})
    assert data.scalars["train/learning_rate"].step.tolist() == [0]


def test_log_leaves_a_group_out(fit, dense):
    data = fit(dense(), callback={"every": 4, "log": ["grads"]})
    assert list(data.histograms) == ["grads/fc/kernel", "grads/fc/bias"]


def test_histogram_freq_captures_the_first_step_of_every_second_epoch(fit, dense):
    data = fit(dense(), epochs=3, callback={"histogram_freq": 2})
    assert data.histograms["params/fc/kernel"].step.tolist() == [0, 8]


def test_histogram_freq_and_every_capture_a_step_of_both_once(fit, dense):
    data = fit(dense(), epochs=2, callback={"histogram_freq": 1, "every": 3})
    assert data.histograms["params/fc/kernel"].step.tolist() == [0, 3, 4, 6]
