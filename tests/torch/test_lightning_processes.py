"""In a distributed Lightning training all processes take part, and the first one writes."""

import subprocess
import sys

import pytest

pytest.importorskip("lightning.pytorch")

PROGRAM = """
import sys, torch, lightning.pytorch as pl, multiboard.lightning as mbl
from torch.utils.data import DataLoader

class Module(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.net = torch.nn.Linear(4, 2)
    def training_step(self, batch):
        loss = self.net(batch).square().mean()
        self.log("train_loss", loss)
        self.logger.experiment.add_text("notes/rank", str(self.global_rank), self.global_step)
        return loss
    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)

if __name__ == "__main__":
    logging = dict(logger=mbl.Logger(sys.argv[1], config={"lr": 0.1}), log_every_n_steps=1, callbacks=mbl.Watch(every=2))
    quiet = dict(enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False)
    trainer = pl.Trainer(max_epochs=1, accelerator="cpu", strategy="ddp_spawn", devices=2, **logging, **quiet)
    trainer.fit(Module(), DataLoader(torch.ones(12, 4), batch_size=2))
"""


@pytest.mark.slow
def test_spawned_processes_write_one_run(log_dir, tmp_path, written):
    (tmp_path / "program.py").write_text(PROGRAM)
    command = [sys.executable, tmp_path / "program.py", log_dir]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=240, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    data = written()
    assert len(list(log_dir.glob("events.*"))) == 1
    assert data.scalars["train/loss"].step.tolist() == [0, 1, 2]
    assert data.histograms["grads/net/kernel"].step.tolist() == [0, 2]
    assert data.texts["notes/rank"].value == ["0", "0", "0"]
    assert (data.hparams["lr"], data.status) == (0.1, "success")
