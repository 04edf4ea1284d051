"""The callback attaches a watch to every optimizer of a fit, changes no training and never ends one."""

import pickle

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import multiboard as mb
from multiboard.records import unframe

pl = pytest.importorskip("lightning.pytorch")
mbl = pytest.importorskip("multiboard.lightning")

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore:.*:lightning.fabric.utilities.warnings.PossibleUserWarning"
)


class Module(pl.LightningModule):
    def __init__(self, at_step=lambda _: None):
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Linear(4, 2)
        self.at_step = at_step

    def training_step(self, batch):
        loss = self.net(batch[0]).square().mean()
        self.log("train_loss", loss)
        self.at_step(self.global_step)
        return loss

    def validation_step(self, batch):
        self.log("val_loss", self.net(batch[0]).square().mean())

    def configure_optimizers(self):
        optimizer = torch.optim.AdamW(self.parameters(), lr=0.1)
        return [optimizer], [{"scheduler": torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5), "interval": "step"}]


class Adversaries(pl.LightningModule):
    """Two optimizers that take turns: the first one twice in each batch, the second one in every other."""

    automatic_optimization = False

    def __init__(self):
        super().__init__()
        self.generator, self.critic = nn.Linear(4, 2), nn.Linear(2, 1)

    def training_step(self, batch, index):
        critic, generator = self.optimizers()
        for optimizer in (critic, critic, generator) if index % 2 == 0 else (critic, critic):
            loss = self.critic(self.generator(batch[0])).square().mean()
            optimizer.zero_grad()
            self.manual_backward(loss)
            optimizer.step()
        self.log("train_loss", loss)

    def validation_step(self, batch):
        self.log("val_loss", self.critic(self.generator(batch[0])).square().mean())

    def configure_optimizers(self):
        return [torch.optim.SGD(network.parameters(), lr=0.1) for network in (self.critic, self.generator)]


@pytest.fixture
def data():
    """Eight batches of four."""
    return DataLoader(TensorDataset(torch.randn(32, 4, generator=torch.Generator().manual_seed(0))), batch_size=4)


@pytest.fixture
def fit(tmp_path, data):
    """A function that fits a module quietly on the CPU and returns it and its Trainer."""

    def run(module, logger, *callbacks, ckpt_path=None, **options):
        quiet = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
        fixed = {"accelerator": "cpu", "devices": 1, "log_every_n_steps": 1, "default_root_dir": tmp_path, "max_epochs": 1}
        trainer = pl.Trainer(logger=logger, callbacks=list(callbacks), **(quiet | fixed | options))
        trainer.fit(module, data, data, ckpt_path=ckpt_path)
        return module, trainer

    return run


def starts(log_dir):
    """By file, the steps from which on a dashboard drops what earlier files hold."""
    from multiboard import proto

    events = [
        [proto.Event.FromString(data) for data in unframe(file.read_bytes(), [])] for file in sorted(log_dir.glob("events.*"))
    ]
    return [[event.step for event in found if event.session_log.status == 1] for found in events]


def test_captures_and_rates_are_at_the_step_of_their_update(fit, log_dir, written):
    fit(Module(), mbl.Logger(log_dir), mbl.Watch(every=3), accumulate_grad_batches=2, max_epochs=2)
    data = written()
    assert data.histograms["params/net/kernel"].step.tolist() == [0, 3, 6]
    assert data.histograms["grads/net/bias"].step.tolist() == [0, 3, 6]
    assert data.scalars["train/learning_rate"].value.tolist() == pytest.approx([0.1, 0.1 / 8, 0.1 / 64])


def test_gradients_are_seen_clipped_and_accumulated(fit, log_dir, written):
    fit(Module(), mbl.Logger(log_dir), mbl.Watch(every=1, log="grads"), accumulate_grad_batches=2, gradient_clip_val=1e-3)
    norm = written().scalars["norm/grads"]
    assert norm.step.tolist() == [0, 1, 2, 3]
    assert norm.value.tolist() == pytest.approx([1e-3] * 4, rel=1e-3)


def test_a_fit_from_a_checkpoint_goes_on_with_the_steps(fit, log_dir, written, tmp_path):
    class Saving(pl.Callback):
        def on_train_batch_end(self, trainer, *_):
            if trainer.global_step == 5:
                trainer.save_checkpoint(tmp_path / "middle.ckpt")

    fit(Module(), mbl.Logger(log_dir), mbl.Watch(every=3), Saving())
    fit(Module(), mbl.Logger(log_dir), mbl.Watch(every=3), max_epochs=2, ckpt_path=tmp_path / "middle.ckpt")
    data = written()
    assert starts(log_dir) == [[0], [5]]
    assert data.scalars["train/loss"].step.tolist() == [*range(8), *range(5, 16)]
    assert data.histograms["params/net/kernel"].step.tolist() == [0, 3, 6, 6, 9, 12, 15]


def test_with_several_optimizers_a_step_is_a_batch(fit, log_dir, written):
    fit(Adversaries(), mbl.Logger(log_dir), mbl.Watch(every=2, log="params"), max_epochs=2)
    data = written()
    assert data.scalars["train/loss"].step.tolist() == list(range(16))
    assert data.scalars["val/loss"].step.tolist() == [7, 15]
    assert data.histograms["params/critic/kernel"].step.tolist() == list(range(0, 16, 2))
    assert data.histograms["params/generator/kernel"].step.tolist() == list(range(0, 16, 2))


def test_step_times_are_written_without_the_validation(fit, log_dir, written):
    fit(Module(), mbl.Logger(log_dir), mbl.Watch(every=4), val_check_interval=2)
    scalars = written().scalars
    assert scalars["perf/step_ms"].step.tolist() == [4, 7]
    assert scalars["perf/examples_per_s"].step.tolist() == [4, 7]
    assert all(scalars["perf/step_ms"].value > 0)


def test_weights_and_random_numbers_are_bit_identical_with_and_without(fit, log_dir):
    plain, _ = fit(Module(), False)
    expected = torch.rand(3)
    watched, _ = fit(Module(), mbl.Logger(log_dir), mbl.Watch(every=1))
    assert torch.equal(torch.rand(3), expected)
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), watched.parameters(), strict=True))


def test_a_run_can_be_given_beside_any_logger(fit, log_dir, written):
    with mb.Run(log_dir) as run:
        fit(Module(), False, mbl.Watch(every=4, run=run))
        assert not run.closed
    assert written().histograms["params/net/kernel"].step.tolist() == [0, 4]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_end_by_an_exception_keeps_what_was_logged_and_says_that_it_failed(error, fit, log_dir, written, monkeypatch):
    monkeypatch.setattr("signal.signal", lambda *_: None)  # Lightning ignores Ctrl-C from then on

    def stop(step):
        if step == 5:
            raise error("stop")

    callback = mbl.Watch(every=1)
    module = Module(stop)
    module.save_hyperparameters({"lr": 0.1})
    with pytest.raises(SystemExit if error is KeyboardInterrupt else error):
        fit(module, mbl.Logger(log_dir), callback)
    data = written()
    assert data.scalars["train/loss"].step.tolist() == list(range(5))
    assert data.histograms["grads/net/kernel"].step.tolist() == list(range(5))
    assert data.status == "failure"


def test_values_that_cannot_be_logged_do_not_end_a_fit(fit, log_dir, written):
    class Strange(Module):
        def training_step(self, batch):
            self.logger.log_metrics({"text": "words", "vector": torch.ones(3), "number": 1.0}, self.global_step)
            return super().training_step(batch)

    with pytest.warns(mb.MultiboardWarning) as said:
        _, trainer = fit(Strange(), mbl.Logger(log_dir))
    assert trainer.global_step == 8
    for tag in ("train/text", "train/vector"):
        assert any(tag in str(one.message) for one in said)
    assert written().scalars["train/number"].step.tolist() == list(range(8))


def test_a_run_that_is_closed_under_the_fit_does_not_end_it(fit, log_dir):
    with mb.Run(log_dir) as run, pytest.warns(mb.MultiboardWarning, match="is closed"):
        _, trainer = fit(
            Module(lambda step: run.close() if step == 3 else None), mbl.Logger(run=run), mbl.Watch(every=1, run=run)
        )
    assert trainer.global_step == 8


def test_an_option_that_watch_refuses_does_not_end_a_fit(fit, log_dir, written):
    with pytest.warns(mb.MultiboardWarning, match="watch was left out: ArgumentError: argument 'log' got 'weights'"):
        fit(Module(), mbl.Logger(log_dir), mbl.Watch(log="weights"))
    assert written().scalars["train/loss"].step.tolist() == list(range(8))


def test_without_a_logger_it_says_so_and_does_nothing(fit, caplog):
    fit(Module(), False, mbl.Watch())
    assert "no run to write to" in caplog.text
    fit(Module(), False, mbl.Watch(), fast_dev_run=True)
    assert caplog.text.count("no run to write to") == 1


def test_an_argument_that_watch_does_not_know_is_said_at_once():
    with pytest.raises(mb.ArgumentError, match=r"'evry'.*multiboard\.torch\.watch takes every"):
        mbl.Watch(evry=3)
    with pytest.raises(mb.ArgumentError, match="'every'"):
        mbl.Watch(every=0)


def test_a_callback_can_be_sent_to_another_process_and_used_again(fit, log_dir):
    callback = mbl.Watch(every=4)
    fit(Module(), mbl.Logger(log_dir), callback)
    fit(Module(), mbl.Logger(log_dir / "copy"), pickle.loads(pickle.dumps(callback)))  # noqa: S301
    runs = mb.read(log_dir)
    assert runs["."].histograms["params/net/kernel"].step.tolist() == [0, 4]
    assert runs["copy"].histograms["params/net/kernel"].step.tolist() == [0, 4]
