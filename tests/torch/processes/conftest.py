"""Jobs of several processes, forked from one that has imported PyTorch: each of them would need seconds for it."""

from __future__ import annotations

import multiprocessing
from typing import TYPE_CHECKING

import pytest

from multiboard.dashboard import free_port

if TYPE_CHECKING:
    from pathlib import Path

BEGIN = """
import os, sys, warnings
output = os.open({output!r}, os.O_WRONLY | os.O_CREAT)
os.dup2(output, 1)
os.dup2(output, 2)
os.environ.update({variables!r})
sys.argv[1:] = [{log_dir!r}]
warnings.filterwarnings("error", module="multiboard")

import torch
from torch import nn
from torch import distributed as dist
import multiboard as mb
import multiboard.torch as mbt

torch.set_num_threads(1)
dist.init_process_group("gloo")
rank, processes = dist.get_rank(), dist.get_world_size()
log_dir = sys.argv[1]
"""

END = """
watching.remove()
if run is not None:
    run.close()
dist.barrier()
dist.destroy_process_group()
"""

AT_EXIT = "import atexit; atexit._run_exitfuncs()"
"""What ends by itself at the end of a program: a process that was forked leaves it out."""


def variables_of(rank: int, processes: int, port: int) -> dict[str, str]:
    """Return what torchrun tells a process."""
    job = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "GLOO_SOCKET_IFNAME": "lo"}
    return {**job, "WORLD_SIZE": str(processes), "RANK": str(rank)}


@pytest.fixture(scope="session")
def context() -> multiprocessing.context.ForkServerContext:
    """What starts processes in which PyTorch has been imported, and nothing of multiboard."""
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload(["torch.distributed.fsdp"])
    return found


@pytest.fixture
def ranks(context, log_dir: Path, tmp_path: Path):
    """A function that runs a script on several ranks, each with its `run`; it fails if one of them does."""

    def start(script: str, processes: int = 2, run: str = "mb.Run(log_dir) if rank == 0 else None") -> None:
        port, outputs, started = free_port(), [], []
        for rank in range(processes):
            outputs.append(tmp_path / f"output{rank}")
            variables = variables_of(rank, processes, port)
            begin = BEGIN.format(output=str(outputs[-1]), variables=variables, log_dir=str(log_dir))
            program = f"{begin}run = {run}\n{script}{END}{AT_EXIT}"
            started.append(context.Process(target=exec, args=(program, {"__name__": "__main__"})))
        wait_for(started)
        assert [process.exitcode for process in started] == [0] * processes, "\n".join(map(read, outputs))

    return start


def wait_for(processes: list[multiprocessing.context.ForkServerProcess]) -> None:
    """Start processes and wait for their ends."""
    for process in processes:
        process.start()
    try:
        for process in processes:
            process.join(200)
    finally:
        for process in processes:
            process.kill()
            process.join()


def read(output: Path) -> str:
    return output.read_text() if output.exists() else ""
