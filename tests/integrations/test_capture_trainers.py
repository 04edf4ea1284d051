"""Lightning, Transformers and Stable-Baselines3 write multiboard's files while the writer of torch is captured."""

from __future__ import annotations

import pytest
import torch
from tensorboard.compat.proto.event_pb2 import Event
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import multiboard as mb
import multiboard.torch_tensorboard
from multiboard.records import unframe

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning",
    "ignore::FutureWarning",
    "ignore:.*pin_memory.*:UserWarning",
    "ignore:.*:lightning.fabric.utilities.warnings.PossibleUserWarning",
)


@pytest.fixture(autouse=True)
def capture():
    with multiboard.torch_tensorboard.capture():
        yield


def run_below(directory):
    """Return the only run below a directory, all of whose values are tensors."""
    (run,) = mb.read(directory).values()
    for path in run.path.glob("*tfevents*"):
        for payload in unframe(path.read_bytes(), []):
            assert {value.WhichOneof("value") for value in Event.FromString(payload).summary.value} <= {"tensor"}
    return run


def test_the_tensorboard_logger_of_lightning_is_captured(tmp_path):
    pl = pytest.importorskip("lightning.pytorch")

    class Module(pl.LightningModule):
        def __init__(self, width=2):
            super().__init__()
            self.save_hyperparameters()
            self.net = nn.Linear(4, width)

        def training_step(self, batch):
            loss = self.net(batch[0]).square().mean()
            self.log("train_loss", loss)
            self.logger.experiment.add_histogram("weight", self.net.weight.to(torch.bfloat16), self.global_step)
            return loss

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.1)

    data = DataLoader(TensorDataset(torch.randn(24, 4)), batch_size=4)
    trainer = pl.Trainer(
        max_epochs=2,
        logger=pl.loggers.TensorBoardLogger(tmp_path),
        log_every_n_steps=1,
        accelerator="cpu",
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
    )
    trainer.fit(Module(), data)
    run = run_below(tmp_path)
    assert run.scalars["train_loss"].step.tolist() == list(range(12))
    assert len(run.histograms["weight"]) == 12
    assert run.hparams == {"width": 2.0}


def test_the_callback_of_transformers_is_captured(tmp_path, monkeypatch):
    transformers = pytest.importorskip("transformers")
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "run"))
    torch.manual_seed(0)
    shape = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    config = transformers.BertConfig(vocab_size=20, max_position_embeddings=16, pad_token_id=0, **shape)
    arguments = transformers.TrainingArguments(
        output_dir=tmp_path / "out",
        max_steps=4,
        logging_steps=1,
        save_strategy="no",
        report_to=["tensorboard"],
        use_cpu=True,
        disable_tqdm=True,
    )
    examples = [{"input_ids": torch.randint(1, 20, (6,)), "labels": torch.tensor(i % 2)} for i in range(32)]
    transformers.Trainer(transformers.BertForSequenceClassification(config), arguments, train_dataset=examples).train()
    run = run_below(tmp_path / "run")
    assert run.scalars["train/loss"].step.tolist() == [1, 2, 3, 4]
    assert '"max_steps": 4' in run.texts["args"].value[0]


def test_the_logger_of_stable_baselines3_is_captured(tmp_path):
    sb3 = pytest.importorskip("stable_baselines3")
    model = sb3.PPO(
        "MlpPolicy", "CartPole-v1", n_steps=32, batch_size=16, n_epochs=1, device="cpu", seed=0, tensorboard_log=str(tmp_path)
    )
    model.learn(96, log_interval=1)
    run = run_below(tmp_path)
    assert run.scalars["rollout/ep_len_mean"].step.tolist() == [32, 64, 96]
    assert run.scalars["train/loss"].step.tolist() == [64, 96]
