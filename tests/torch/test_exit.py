"""A process that ends with captures under way ends well, and everything is in the file."""

import subprocess
import sys

import pytest

import multiboard as mb

SCRIPT = """
import sys
import torch
import multiboard as mb
import multiboard.torch as mbt

torch.manual_seed(0)
model = torch.nn.Sequential(*(torch.nn.Linear(200, 200) for _ in range(10)))
optimizer = torch.optim.SGD(model.parameters(), lr=1e-5)
run = mb.Run(sys.argv[1])
mbt.watch(model, optimizer, run, every=1)
for step in range(5):
    model(torch.ones(1, 200)).sum().backward()
    optimizer.step()
if sys.argv[2] == "raise":
    raise SystemExit(3)
"""


@pytest.mark.parametrize(("ending", "code"), [("return", 0), ("raise", 3)])
def test_nothing_aborts_and_nothing_is_lost(ending, code, log_dir):
    command = [sys.executable, "-c", SCRIPT, str(log_dir), ending]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (code, "")
    data = mb.read(log_dir)["."]
    assert not data.damage
    assert data.histograms["grads/9/bias"].step.tolist() == [0, 1, 2, 3, 4]
    assert all(rows[:, 2].sum() == 40_000 for rows in data.histograms["params/0/kernel"].value)
