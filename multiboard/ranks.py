"""Which of the processes of one job this is, and what it writes: rank 0 the run, the others nothing, or each a run of its own.

A framework whose processes have met knows best, then the variables of whatever has started the processes. No framework is
imported or started to know it: a run that is opened before `init_process_group` goes by the variables. A process that a rank
starts inherits them, and is taken for that rank.

SLURM and LSF also start programs that know nothing of each other. To them a silent rank would be a lost training, so there it is
said in a warning, and with `per_rank=None` no rank is asked for.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final, NamedTuple

from multiboard import urls
from multiboard.errors import ArgumentError
from multiboard.reports import Reports

if TYPE_CHECKING:
    from collections.abc import Mapping


class Rank(NamedTuple):
    """One process of a job.

    Attributes:
        index: from 0 to before `size`.
        size: processes of the job.
        local: the index on this machine; where nobody tells, that of the job.
        source: what has told it, '' for a process alone.
    """

    index: int  # type: ignore[assignment]  # in the place of the method of tuples
    size: int
    local: int
    source: str


class _Launcher(NamedTuple):
    """Variables that a program gives to the processes that it starts.

    Attributes:
        size: the first one that is set counts.
        alone: a job of one process, too, is one: nobody else is asked.
        also_unrelated: it starts programs, too, that know nothing of each other.
    """

    name: str
    rank: str
    size: tuple[str, ...]
    local: str
    alone: bool = False
    also_unrelated: bool = False


_OF_SLURM: Final = ("SLURM_STEP_NUM_TASKS", "SLURM_NTASKS", "SLURM_NPROCS")
_LAUNCHERS: Final = (
    _Launcher("torchrun", "RANK", ("WORLD_SIZE",), "LOCAL_RANK", alone=True),
    _Launcher("Open MPI", "OMPI_COMM_WORLD_RANK", ("OMPI_COMM_WORLD_SIZE",), "OMPI_COMM_WORLD_LOCAL_RANK"),
    _Launcher("MPICH", "PMI_RANK", ("PMI_SIZE",), "MPI_LOCALRANKID"),
    _Launcher("MVAPICH", "MV2_COMM_WORLD_RANK", ("MV2_COMM_WORLD_SIZE",), "MV2_COMM_WORLD_LOCAL_RANK"),
    _Launcher("JAX", "JAX_PROCESS_ID", ("JAX_NUM_PROCESSES",), "JAX_LOCAL_PROCESS_ID"),
    _Launcher("Horovod", "HOROVOD_RANK", ("HOROVOD_SIZE",), "HOROVOD_LOCAL_RANK"),
    # Behind the others: what `mpirun` starts in a batch script inherits the task 0 of the script.
    _Launcher("SLURM", "SLURM_PROCID", _OF_SLURM, "SLURM_LOCALID", also_unrelated=True),
    _Launcher("LSF", "JSM_NAMESPACE_RANK", ("JSM_NAMESPACE_SIZE",), "JSM_NAMESPACE_LOCAL_RANK", also_unrelated=True),
)
_TPU: Final = "TPU_WORKER_ID", "TPU_WORKER_HOSTNAMES"
"""Number of a machine, and the names of all, with commas."""
_DIGITS: Final = 10
"""Longer numbers are none of a process; `int` refuses some thousand digits."""
_reports: Final = Reports()


def detect(environment: Mapping[str, str] | None = None) -> Rank:
    """Return which process of a job this is; costs microseconds, and is asked anew each time.

    Args:
        environment: None is that of the process.
    """
    known = os.environ if environment is None else environment
    found = _of_torch(known) or _of_jax(known)
    if found is None:
        ranks = (_of_launcher(launcher, known) for launcher in _LAUNCHERS)
        found = next((rank for rank in ranks if rank is not None), None) or _of_tpu(known)
    return found or Rank(0, 1, 0, "")


def place(log_dir: str, per_rank: bool | None) -> tuple[str, bool]:
    """Return where this process writes a run, and whether it is to stay silent.

    Args:
        log_dir: the directory or URL that all processes name.
        per_rank: True gives each process a run in `<log_dir>/rank_<number>`, also rank 0, and a process that is alone; False lets
            rank 0 write alone; None lets this process write, whatever its rank.

    Raises:
        ArgumentError: it is something else.
    """
    if per_rank is None:
        return log_dir, False
    if not isinstance(per_rank, bool):
        raise ArgumentError("per_rank", per_rank, "use True, False or None")
    rank = detect()
    if per_rank:
        return _join(log_dir, directory(rank.index)), False
    if rank.index:
        _say_silent(log_dir, rank)
    return log_dir, rank.index > 0


def directory(index: int) -> str:
    """Return the name of the directory of one rank.

    >>> directory(3)
    'rank_00003'
    """
    return f"rank_{index:05d}"


def _join(log_dir: str, name: str) -> str:
    return urls.join(log_dir, name) if urls.is_url(log_dir) else os.path.join(log_dir, name)


def _of_torch(environment: Mapping[str, str]) -> Rank | None:
    dist = sys.modules.get("torch.distributed")
    try:
        if dist is None or not (dist.is_available() and dist.is_initialized()):
            return None
        index, size = dist.get_rank(), dist.get_world_size()
    except AttributeError:  # it is being imported by another thread
        return None
    return Rank(index, size, _local(environment, index), "torch.distributed")


def _of_jax(environment: Mapping[str, str]) -> Rank | None:
    """Ask the state of `jax.distributed`: `jax.process_index` would start the devices."""
    state = getattr(sys.modules.get("jax._src.distributed"), "global_state", None)
    index, size = getattr(state, "process_id", None), getattr(state, "num_processes", None)
    if getattr(state, "client", None) is None or not isinstance(index, int) or not isinstance(size, int):
        return None
    return Rank(index, size, _local(environment, index), "jax.distributed")


def _of_launcher(launcher: _Launcher, environment: Mapping[str, str]) -> Rank | None:
    """Return the rank that a launcher tells; None if it has not started this process, or, mostly, if alone."""
    size = next((name for name in launcher.size if name in environment), None)
    if size is None or launcher.rank not in environment:
        return None
    index, processes = _number(environment, launcher.rank), _number(environment, size)
    if index is None or processes is None or index >= processes:
        told = ", ".join(f"{name}={environment[name]!r}" for name in (launcher.rank, size))
        _reports.add(f"rank {told}", f"{told} name no rank of a job and are ignored; use a number from 0 to before the size.")
        return None
    local = _number(environment, launcher.local)
    return Rank(index, processes, index if local is None else local, launcher.name) if processes > 1 or launcher.alone else None


def _of_tpu(environment: Mapping[str, str]) -> Rank | None:
    index, machines = _number(environment, _TPU[0]), len(list(filter(None, environment.get(_TPU[1], "").split(","))))
    return None if index is None or not index < machines or machines == 1 else Rank(index, machines, 0, "TPU")


def _local(environment: Mapping[str, str], index: int) -> int:
    found = (_number(environment, launcher.local) for launcher in _LAUNCHERS)
    return next((number for number in found if number is not None), index)


def _number(environment: Mapping[str, str], name: str) -> int | None:
    text = environment.get(name, "").strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) < _DIGITS else None


def _may_be_unrelated(rank: Rank) -> bool:
    """Tell whether a scheduler has numbered the process, also where `srun` gives it the variables of MPI as well."""
    if rank.source.endswith(".distributed"):
        return False
    found = (_of_launcher(launcher, os.environ) for launcher in _LAUNCHERS if launcher.also_unrelated)
    return any(each is not None and each.index == rank.index and each.size == rank.size for each in found)


def _say_silent(log_dir: str, rank: Rank) -> None:
    """Say once that this process writes nothing, aloud where it may be a training of its own."""
    shown = urls.shown(log_dir) if urls.is_url(log_dir) else log_dir
    who = f"this is rank {rank.index} of {rank.size} by {rank.source}, and only rank 0 writes {shown!r}"
    remedy = "pass per_rank=True for a run of each rank, or per_rank=None if this process is no part of a job"
    if _may_be_unrelated(rank):
        _reports.add("silent rank", f"{who}: {remedy}.")
    elif not _reports.counts["silent rank"]:
        _reports.counts["silent rank"] += 1
        import logging  # when it is needed: it costs as much as five files of this package

        logging.getLogger("multiboard").info("%s: %s.", who, remedy)
