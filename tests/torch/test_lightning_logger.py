"""What a Lightning Trainer logs is in the run, under uniform tags and global steps."""

import pickle
import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import multiboard as mb

pl = pytest.importorskip("lightning.pytorch")
mbl = pytest.importorskip("multiboard.lightning")

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore:.*:lightning.fabric.utilities.warnings.PossibleUserWarning"
)


class Module(pl.LightningModule):
    """Fits zero; `log` is called in each step as `log(module, split, loss)`."""

    def __init__(self, log=lambda module, split, loss: module.log(f"{split}_loss", loss)):
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Linear(4, 2)
        self.log_step = log
        self.seen = []

    def _loss(self, split, batch):
        loss = self.net(batch[0]).square().mean()
        self.log_step(self, split, loss)
        return loss

    def training_step(self, batch):
        loss = self._loss("train", batch)
        self.seen.append(loss.item())
        return loss

    def validation_step(self, batch):
        return self._loss("val", batch)

    def test_step(self, batch):
        return self._loss("test", batch)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Manual(Module):
    """Calls its optimizer itself, every other batch."""

    automatic_optimization = False

    def training_step(self, batch, index):
        self._loss("train", batch).backward()
        if index % 2:
            self.optimizers().step()
            self.optimizers().zero_grad()


@pytest.fixture
def data():
    """Eight batches of four."""
    return DataLoader(TensorDataset(torch.randn(32, 4, generator=torch.Generator().manual_seed(0))), batch_size=4)


@pytest.fixture
def trainer(tmp_path):
    """A function that makes a quiet Trainer on the CPU, which logs every step."""

    def make(logger, **options):
        quiet = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
        fixed = {"accelerator": "cpu", "devices": 1, "log_every_n_steps": 1, "default_root_dir": tmp_path}
        return pl.Trainer(logger=logger, **(quiet | fixed | {"max_epochs": 1} | options))

    return make


def test_metrics_of_training_and_evaluation_are_at_the_step_of_their_update(trainer, data, log_dir, written):
    module = Module()
    fitting = trainer(mbl.Logger(log_dir), max_epochs=2)
    fitting.fit(module, data, data)
    fitting.test(module, data, verbose=False)
    scalars = written().scalars
    assert scalars["train/loss"].step.tolist() == list(range(16))
    assert scalars["train/loss"].value.tolist() == pytest.approx(module.seen, rel=1e-6)
    assert scalars["val/loss"].step.tolist() == [7, 15]
    assert scalars["test/loss"].step.tolist() == [15]
    assert scalars["train/epoch"].step.tolist() == list(range(16))
    assert scalars["train/epoch"].value.tolist() == [0.0] * 8 + [1.0] * 8


def test_batches_of_one_update_share_its_step_also_for_a_validation_between_them(trainer, data, log_dir, written):
    trainer(mbl.Logger(log_dir), accumulate_grad_batches=3, val_check_interval=4).fit(Module(), data, data)
    scalars = written().scalars
    assert scalars["train/loss"].step.tolist() == [0, 1, 2]  # 3, 3 and 2 batches
    assert scalars["val/loss"].step.tolist() == [0, 2]  # after 4 batches there was one update


def test_what_callbacks_log_before_an_update_is_at_its_step(trainer, data, log_dir, written):
    monitor = pl.callbacks.LearningRateMonitor()
    trainer(mbl.Logger(log_dir), callbacks=monitor, accumulate_grad_batches=2).fit(Module(), data)
    assert sorted(set(written().scalars["train/lr-SGD"].step)) == [0, 1, 2, 3]


def test_optimizers_called_by_hand_are_counted_by_their_updates(trainer, data, log_dir, written):
    trainer(mbl.Logger(log_dir)).fit(Manual(), data, data)
    scalars = written().scalars
    assert scalars["val/loss"].step.tolist() == [3]
    assert max(scalars["train/loss"].step) == 3


def test_a_fit_from_a_checkpoint_goes_on_and_keeps_what_was_before(trainer, data, log_dir, written, tmp_path):
    first = trainer(mbl.Logger(log_dir))
    first.fit(Module(), data, data)
    first.save_checkpoint(tmp_path / "last.ckpt")
    trainer(mbl.Logger(log_dir), max_epochs=2).fit(Module(), data, data, ckpt_path=tmp_path / "last.ckpt")
    scalars = written().scalars
    assert scalars["train/loss"].step.tolist() == list(range(16))
    assert scalars["val/loss"].step.tolist() == [7, 15]


PROGRAM = """
import sys, torch, {name} as pl, multiboard.lightning as mbl
from torch.utils.data import DataLoader
class Module(pl.LightningModule):
    def __init__(self): super().__init__(); self.net = torch.nn.Linear(4, 2)
    def training_step(self, batch, index):
        loss = self.net(batch).square().mean(); self.log("train_loss", loss); return loss
    def test_step(self, batch, index): self.log("test_loss", self.net(batch).square().mean())
    def configure_optimizers(self): return torch.optim.SGD(self.parameters(), lr=0.1)
log_dir, mode, checkpoint = sys.argv[1:]
quiet = dict(enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False, accelerator="cpu")
logging = dict(logger=mbl.Logger(log_dir), log_every_n_steps=1, callbacks=mbl.Watch(every=2))
trainer = pl.Trainer(max_epochs=2 if mode == "resume" else 1, **logging, **quiet)
data = DataLoader(torch.ones(6, 4), batch_size=2)
if mode == "test":
    trainer.test(Module(), data, verbose=False)
else:
    trainer.fit(Module(), data, ckpt_path=checkpoint if mode == "resume" else None)
    trainer.save_checkpoint(checkpoint)
"""


@pytest.fixture
def in_process(log_dir, tmp_path):
    """A function that fits or tests in a process of its own, and returns the steps of all losses."""

    def start(mode, name="lightning.pytorch"):
        command = [sys.executable, "-c", PROGRAM.format(name=name), log_dir, mode, tmp_path / "c"]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return {tag: column.step.tolist() for tag, column in mb.read(log_dir)["."].scalars.items() if tag.endswith("/loss")}

    return start


@pytest.mark.slow
def test_another_process_goes_on_if_the_fit_does_and_adds_an_evaluation(in_process):
    assert in_process("fit") == {"train/loss": [0, 1, 2]}
    assert in_process("resume") == {"train/loss": [0, 1, 2, 3, 4, 5]}
    assert in_process("test") == {"train/loss": [0, 1, 2, 3, 4, 5], "test/loss": [5]}


@pytest.mark.slow
def test_the_name_pytorch_lightning_works_too(in_process, written):
    assert in_process("fit", "pytorch_lightning") == {"train/loss": [0, 1, 2]}
    assert written().histograms["params/net/kernel"].step.tolist() == [0, 2]


def test_nothing_is_logged_in_the_sanity_check(trainer, data, log_dir, written):
    def log(module, split, loss):
        module.logger.log_metrics({f"{split}_by_hand": loss}, None)

    trainer(mbl.Logger(log_dir), limit_val_batches=1, num_sanity_val_steps=2).fit(Module(log), data, data)
    scalars = written().scalars
    assert scalars["val/by_hand"].step.tolist() == [7]
    assert scalars["train/by_hand"].step.tolist() == list(range(8))


def test_names_get_uniform_tags(trainer, data, log_dir, written):
    def log(module, split, loss):
        module.log_dict({"acc": loss, f"{split}_f1": loss, "norm/x": loss}, on_step=False, on_epoch=True)

    trainer(mbl.Logger(log_dir)).fit(Module(log), data, data)
    tags = {"train/acc", "train/f1", "val/acc", "val/f1", "norm/x", "train/epoch"}
    assert set(written().scalars) == tags


def test_hyper_parameters_of_module_and_logger_are_one_set(trainer, data, log_dir, written):
    module = Module(lambda *_: None)
    module.save_hyperparameters({"width": 4, "optimizer": {"lr": 0.1}})
    logger = mbl.Logger(log_dir, config={"dataset": "noise"}, facts=False)
    logger.experiment.add_hparams({"by": "hand"}, {})
    trainer(logger).fit(module, data)
    assert written().hparams == {"dataset": "noise", "by": "hand", "width": 4, "optimizer/lr": 0.1}


def test_hyper_parameters_that_come_too_late_are_said_and_cost_nothing_else(trainer, data, log_dir, written):
    def log(module, _, loss):
        module.log("loss", loss)
        if module.global_step == 3:
            module.logger.log_hyperparams({"late": 1}, {"score": 0.5}, module.global_step)

    with pytest.warns(mb.MultiboardWarning, match=r"\['late'\] came after the first metrics"):
        trainer(mbl.Logger(log_dir, config={"lr": 0.1}, facts=False)).fit(Module(log), data)
    assert written().hparams == {"lr": 0.1}
    assert written().scalars["train/score"].step.tolist() == [3]


def test_the_experiment_is_a_summary_writer_over_the_run(trainer, data, log_dir, written):
    def log(module, _, loss):
        module.logger.experiment.add_scalar("mine/loss", loss, module.global_step)
        module.logger.experiment.add_text("mine/text", "words", module.global_step)

    trainer(logger := mbl.Logger(log_dir)).fit(Module(log), data)
    assert isinstance(logger.experiment, mb.SummaryWriter)
    data = written()
    assert data.scalars["mine/loss"].step.tolist() == list(range(8))
    assert data.texts["mine/text"].step.tolist() == list(range(8))
    assert len(list(log_dir.glob("events.*"))) == 1


def test_a_given_run_stays_open(trainer, data, log_dir, written):
    module = Module()
    module.save_hyperparameters({"width": 4})
    with mb.Run(log_dir, config={"lr": 0.1}, facts=False) as run:
        logger = mbl.Logger(run=run)
        trainer(logger).fit(module, data)
        assert logger.run is run
        assert logger.experiment.run is run
        assert not run.closed
        run.scalar("later", 1.0, 8)
    assert written().scalars["later"].step.tolist() == [8]
    assert written().hparams == {"lr": 0.1}


def test_it_can_be_used_without_a_trainer(log_dir, written):
    logger = mbl.Logger(log_dir, facts=False)
    logger.log_graph(Module())
    logger.log_hyperparams({"lr": 0.1})
    logger.log_metrics({"loss": torch.tensor(0.5), "val_acc": 1}, 7)
    logger.finalize("success")
    data = written()
    assert {tag: column.step.tolist() for tag, column in data.scalars.items()} == {"train/loss": [7], "val/acc": [7]}
    assert (data.hparams, data.status) == ({"lr": 0.1}, "success")


def test_a_logger_that_is_sent_to_another_process_opens_the_directory_there(trainer, data, log_dir, written):
    logger = mbl.Logger(log_dir, config={"lr": 0.1})
    assert logger.run is not None
    copy = pickle.loads(pickle.dumps(logger))  # noqa: S301
    logger.run.close()
    trainer(copy).fit(Module(), data)
    assert written().scalars["train/loss"].step.tolist() == list(range(8))


def test_checkpoints_are_below_the_run_directory(trainer, data, log_dir):
    fitting = trainer(mbl.Logger(log_dir), enable_checkpointing=True)
    fitting.fit(Module(), data)
    assert fitting.log_dir == str(log_dir)
    assert [path.name for path in (log_dir / "checkpoints").iterdir()] == ["epoch=0-step=8.ckpt"]


def test_a_fast_dev_run_and_a_prediction_write_nothing(trainer, data, log_dir):
    trainer(mbl.Logger(log_dir), fast_dev_run=True).fit(Module(), data, data)
    module = Module()
    module.predict_step = lambda batch: module.net(batch[0])
    trainer(mbl.Logger(log_dir, config={"lr": 0.1})).predict(module, data)
    assert not log_dir.exists()


@pytest.mark.parametrize("arguments", [{"log_dir": 3}, {"run": "runs/x"}, {"config": 3}])
def test_a_wrong_argument_is_said_at_once(arguments):
    with pytest.raises(mb.ArgumentError, match=f"argument '{next(iter(arguments))}'"):
        mbl.Logger(**arguments)
