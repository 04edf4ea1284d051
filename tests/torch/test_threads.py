"""The writer thread works on one core, and no other thread notices."""

import json
import subprocess
import sys

import pytest

SCRIPT = """
import json, sys, threading
import torch
torch.set_num_threads(3)
import multiboard as mb
import multiboard.torch as mbt
from multiboard_torch.threads import use_one_thread

busy = sys.argv[2] == "busy"
if busy:
    torch.ones(1_000_000).add(1)
model = torch.nn.Linear(300, 300)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
runs = [mb.Run(f"{sys.argv[1]}/{i}") for i in range(2)]
for run in runs:
    mbt.watch(model, optimizer, run, every=1).step
    optimizer.step()
for run in runs:
    run.flush()
numbers = {"main": torch.get_num_threads()}

def in_thread(name, limit):
    def look():
        if limit:
            use_one_thread()
            use_one_thread()
        numbers[name] = torch.get_num_threads()
    thread = threading.Thread(target=look)
    thread.start()
    thread.join()

in_thread("limited", True)
in_thread("later", False)
use_one_thread()
numbers["main after"] = torch.get_num_threads()
for run in runs:
    run.close()
print(json.dumps(numbers))
"""


@pytest.mark.parametrize("main_thread", ["busy", "fresh"])
def test_only_the_writer_is_limited_to_one_thread(main_thread, tmp_path):
    command = [sys.executable, "-W", "error::UserWarning", "-c", SCRIPT, str(tmp_path), main_thread]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert json.loads(done.stdout) == {"main": 3, "limited": 1, "later": 3, "main after": 3}
