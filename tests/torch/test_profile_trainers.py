"""A profiler that is handed to the callback of a trainer follows its updates, with the layers of the model."""

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import multiboard as mb
from multiboard.profile.xspace import HOST_PLANE, find_plane, read_space, stats_of

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning",
    "ignore::FutureWarning",
    "ignore:.*pin_memory.*:UserWarning",
    "ignore:.*:lightning.fabric.utilities.warnings.PossibleUserWarning",
)
OPTIONS = {"start": 2, "steps": 2, "warmup": 1, "convert": "now"}


@pytest.fixture
def session(log_dir):
    """A function that returns the steps of the only session, and its operations."""

    def read():
        (path,) = log_dir.glob("plugins/profile/*/*.xplane.pb")
        plane = find_plane(read_space(path), HOST_PLANE)
        found = [stats_of(event, plane) for line in plane.lines for event in line.events]
        return sorted(stats["step_num"] for stats in found if "_r" in stats), [stats.get("tf_op") for stats in found]

    return read


def test_lightning_calls_parts_of_a_model_and_waits_for_batches(log_dir, tmp_path, session):
    pl, mbl = pytest.importorskip("lightning.pytorch"), pytest.importorskip("multiboard.lightning")

    class Module(pl.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))

        def training_step(self, batch):
            return self.net(batch[0]).square().mean()

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.1)

    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False, "log_every_n_steps": 1}
    watch = mbl.Watch(every=100, profiler=mb.Profiler(None, **OPTIONS))
    trainer = pl.Trainer(
        accelerator="cpu", max_epochs=1, default_root_dir=tmp_path, logger=mbl.Logger(log_dir), callbacks=[watch], **quiet
    )
    trainer.fit(Module(), DataLoader(TensorDataset(torch.randn(24, 4)), batch_size=4))
    steps, ops = session()
    assert steps == [2, 3]
    assert ops.count("net/0/linear:linear") == ops.count("net/1/linear:linear") == 2


def test_transformers_counts_an_update_of_several_batches_as_one_step(log_dir, tmp_path, session):
    transformers, mbh = pytest.importorskip("transformers"), pytest.importorskip("multiboard.transformers")
    shape = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    config = transformers.BertConfig(vocab_size=20, max_position_embeddings=16, pad_token_id=0, **shape)
    examples = [{"input_ids": torch.arange(6), "labels": torch.tensor(number % 2)} for number in range(40)]
    arguments = transformers.TrainingArguments(
        output_dir=tmp_path / "out",
        per_device_train_batch_size=4,
        gradient_accumulation_steps=2,
        num_train_epochs=1,
        save_strategy="no",
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
    )
    callback = mbh.Callback(log_dir, every=100, profiler=mb.Profiler(None, **OPTIONS))
    model = transformers.BertForSequenceClassification(config)
    trainer = transformers.Trainer(model, arguments, train_dataset=examples, callbacks=[callback])
    trainer.remove_callback(transformers.PrinterCallback)
    trainer.train()
    steps, ops = session()
    assert steps == [2, 3]
    assert ops.count("bert/encoder/layer/0/output/dense/linear:linear") == 2 * 2
