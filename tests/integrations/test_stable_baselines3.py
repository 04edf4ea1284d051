"""What the logger of Stable-Baselines3 records is in one run, under its own names, at the steps of the environment."""

import numpy as np
import pytest
import torch

import multiboard as mb

gymnasium = pytest.importorskip("gymnasium")
stable_baselines3 = pytest.importorskip("stable_baselines3")
mbs = pytest.importorskip("multiboard.stable_baselines3")
logging = pytest.importorskip("stable_baselines3.common.logger")

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning:pygame", "ignore::FutureWarning")

NOT_FOR_TENSORBOARD = {"time/iterations", "time/time_elapsed", "time/total_timesteps", "train/n_updates"}
"""What the library itself keeps out of TensorBoard: they are the step in other words."""


def make_model(**options):
    return stable_baselines3.PPO(
        "MlpPolicy", "CartPole-v1", n_steps=32, batch_size=16, n_epochs=1, seed=0, device="cpu", **options
    )


def test_a_training_is_a_run_with_its_hyper_parameters(tmp_path):
    model = make_model(learning_rate=1e-3)
    model.learn(96, log_interval=1, callback=mbs.Callback(tmp_path / "run", config={"note": "short"}))
    run = mb.read(tmp_path / "run")["."]
    assert run.scalars["rollout/ep_len_mean"].step.tolist() == [32, 64, 96]
    assert run.scalars["train/loss"].step.tolist() == [64, 96]
    assert run.scalars["time/fps"].step.tolist() == [32, 64, 96]
    assert run.hparams["algorithm"] == "PPO"
    assert run.hparams["environment"] == "CartPole-v1"
    assert run.hparams["learning_rate"] == 1e-3
    assert run.hparams["clip_range"] == pytest.approx(0.2)
    assert run.hparams["note"] == "short"
    assert run.status == "success"


def test_the_run_has_the_numbers_that_the_logger_of_the_library_writes_elsewhere(tmp_path):
    model = make_model()
    with mb.Run(tmp_path / "run") as run:
        model.set_logger(mbs.configure(run, ["csv"], tmp_path / "csv"))
        model.learn(64, log_interval=1)
        model.logger.close()
    table = (tmp_path / "csv" / "progress.csv").read_text().splitlines()
    columns = dict(zip(table[0].split(","), zip(*(line.split(",") for line in table[1:]), strict=True), strict=True))
    scalars = mb.read(tmp_path / "run")["."].scalars
    assert set(columns) - set(scalars) == NOT_FOR_TENSORBOARD
    for tag in scalars:
        cells = columns[tag]
        np.testing.assert_allclose(scalars[tag].value, [float(cell) for cell in cells if cell], rtol=1e-5)


def test_a_second_learn_goes_on_in_the_same_run(tmp_path):
    model = make_model()
    for reset in (True, False):
        model.learn(64, log_interval=1, reset_num_timesteps=reset, callback=mbs.Callback(tmp_path / "run"))
    run = mb.read(tmp_path / "run")["."]
    assert run.scalars["rollout/ep_rew_mean"].step.tolist() == [32, 64, 96, 128]


def test_a_training_that_raises_ends_its_run_at_the_next_one(tmp_path):
    class Ends(stable_baselines3.common.callbacks.BaseCallback):
        def _on_step(self):
            raise KeyError("broken")

    ours = mbs.Callback(tmp_path / "run")
    model = make_model()
    with pytest.raises(KeyError):
        model.learn(32, callback=[ours, Ends()])
    first = ours.run
    model.learn(32, log_interval=1, callback=ours)
    assert first.closed
    assert mb.read(tmp_path / "run")["."].scalars["time/fps"].step.tolist() == [32]


def test_every_type_of_the_logger_is_logged_as_what_it_is(tmp_path):
    figures = pytest.importorskip("matplotlib.figure")
    with mb.Run(tmp_path / "run") as run:
        logger = logging.Logger(None, [mbs.OutputFormat(run)])
        logger.record("a/number", np.float32(0.5))
        logger.record("a/tensor", torch.tensor(2.0))
        logger.record("a/text", "hello")
        logger.record("a/many", torch.arange(4.0))
        logger.record("a/image", logging.Image(np.zeros((4, 4, 3), np.uint8), "HWC"))
        logger.record("a/figure", logging.Figure(figures.Figure(), close=True))
        logger.record("a/video", logging.Video(torch.zeros(1, 2, 3, 4, 4, dtype=torch.uint8), fps=10))
        logger.record("a/hparams", logging.HParam({"lr": 0.1}, {"a/number": 0.0}))
        logger.record_mean("a/mean", 1.0)
        logger.record_mean("a/mean", 2.0)
        logger.dump(7)
    data = mb.read(tmp_path / "run")["."]
    assert {tag: column.value.tolist() for tag, column in data.scalars.items()} == {
        "a/number": [0.5],
        "a/tensor": [2.0],
        "a/mean": [1.5],
    }
    assert data.texts["a/text"].value[0] == "hello"
    assert data.histograms["a/many"].step.tolist() == [7]
    assert set(data.images) == {"a/image", "a/figure", "a/video"}
    assert data.hparams == {"lr": 0.1}


def test_what_is_excluded_from_tensorboard_is_left_out(tmp_path):
    with mb.Run(tmp_path / "run") as run:
        logger = logging.Logger(None, [mbs.OutputFormat(run)])
        logger.record("hidden", 1.0, exclude="tensorboard")
        logger.record("ours", 1.0, exclude=("stdout", "multiboard"))
        logger.record("shown", 1.0, exclude="stdout")
        logger.dump(0)
    assert set(mb.read(tmp_path / "run")["."].scalars) == {"shown"}


def test_a_value_that_nobody_can_log_does_not_end_a_training(tmp_path):
    with mb.Run(tmp_path / "run") as run:
        logger = logging.Logger(None, [mbs.OutputFormat(run)])
        logger.record("broken", object())
        logger.record("fine", 1.0)
        with pytest.warns(mb.MultiboardWarning, match="broken"):
            logger.dump(0)
    assert set(mb.read(tmp_path / "run")["."].scalars) == {"fine"}


def test_a_run_that_the_callback_is_given_stays_open(tmp_path):
    with mb.Run(tmp_path / "run") as run:
        make_model().learn(32, log_interval=1, callback=mbs.Callback(run=run))
        assert not run.closed
    assert "time/fps" in mb.read(tmp_path / "run")["."].scalars


def test_a_format_that_the_library_does_not_have_is_refused(tmp_path):
    with mb.Run(tmp_path / "run") as run, pytest.raises(mb.ArgumentError, match="'tensorboard'"):
        mbs.configure(run, ["tensorboard"])


def test_environments_in_processes_of_their_own_are_not_asked_what_they_are(tmp_path):
    class Apart(stable_baselines3.common.vec_env.DummyVecEnv):
        def get_attr(self, name, indices=None):
            assert name != "spec", "a process whose answer cannot be pickled ends"
            return super().get_attr(name, indices)

    model = stable_baselines3.PPO(
        "MlpPolicy", Apart([lambda: gymnasium.make("CartPole-v1")] * 2), n_steps=16, batch_size=16, n_epochs=1, device="cpu"
    )
    model.learn(32, log_interval=1, callback=mbs.Callback(tmp_path / "run"))
    hparams = mb.read(tmp_path / "run")["."].hparams
    assert (hparams["environments"], hparams["environment"]) == (2, "CartPole-v1")
