"""Memory does not grow over thousands of captures."""

import subprocess
import sys

import pytest

SCRIPT = """
import sys
import torch
import multiboard as mb
import multiboard.torch as mbt

def resident():
    with open("/proc/self/statm") as pages:
        return int(pages.read().split()[1]) * 4096 / 2**20

torch.set_num_threads(1)
torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(30, 5, bias=False), torch.nn.ReLU())
optimizer = torch.optim.Adam(model.parameters())
run = mb.Run(sys.argv[1], facts=False)
mbt.watch(model, optimizer, run, every=1, log=("params", "grads", "updates", "optimizer_state"), activations="*")
held = []
for step in range(5000):
    model(torch.ones(2, 30)).sum().backward()
    optimizer.step()
    optimizer.zero_grad()
    if step % 100 == 99:
        run.flush()
        held.append(resident())
run.close()
print(max(held[10:20]), max(held[-10:]))
"""


@pytest.mark.slow
def test_five_thousand_captures_hold_no_more_memory_than_a_thousand(log_dir):
    done = subprocess.run([sys.executable, "-c", SCRIPT, str(log_dir)], capture_output=True, text=True, timeout=280, check=True)
    early, late = map(float, done.stdout.split())
    assert late < early + 4
