"""In a job of several processes each one profiles itself, and the session shows them side by side."""

import os
import socket
import subprocess
import sys

import pytest

from multiboard.profile.xspace import HOST_PLANE, find_plane, read_space, stats_of

RANK = """
import sys
import torch
from torch import nn
from torch import distributed as dist
import multiboard as mb
import multiboard.torch as mbt

dist.init_process_group("gloo")
rank = dist.get_rank()
torch.manual_seed(0)
model = nn.parallel.DistributedDataParallel(nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 3)))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
run = RUN
profiler = mb.Profiler(run or sys.argv[1], start=2, steps=3, convert="now")
watching = mbt.watch(model, optimizer, run, profiler=profiler)
for step in range(6):
    model(torch.randn(4, 5)).square().mean().backward()
    optimizer.step()
watching.remove()
profiler.close()
if run is not None:
    run.close()
dist.barrier()
dist.destroy_process_group()
"""


@pytest.mark.parametrize("run", ["mb.Run(sys.argv[1])", "mb.Run(sys.argv[1]) if rank == 0 else None"])
def test_every_rank_writes_its_file_into_one_session(run, log_dir):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1]), "WORLD_SIZE": "2"}
    shared |= {"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", RANK.replace("RUN", run), str(log_dir)]
    ranks = [subprocess.Popen(command, env=os.environ | shared | {"RANK": str(rank)}) for rank in range(2)]
    try:
        assert [rank.wait(timeout=120) for rank in ranks] == [0, 0]
    finally:
        for rank in ranks:
            rank.kill()
    files = sorted(log_dir.glob("plugins/profile/step_000002/*.xplane.pb"))
    assert [file.name for file in files] == ["rank0.xplane.pb", "rank1.xplane.pb"]
    for file in files:
        plane = find_plane(read_space(file), HOST_PLANE)
        found = [stats_of(event, plane).get("tf_op") for line in plane.lines for event in line.events]
        assert found.count("0/linear:linear") == 3
