"""Which process of a job this is, by what has started it."""

import logging
import sys
from types import SimpleNamespace

import pytest

import multiboard as mb
from multiboard import ranks

LAUNCHERS = {
    "torchrun": ({"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1"}, (5, 8, 1)),
    "SLURM": ({"SLURM_PROCID": "5", "SLURM_NTASKS": "8", "SLURM_LOCALID": "1"}, (5, 8, 1)),
    "Open MPI": (
        {"OMPI_COMM_WORLD_RANK": "5", "OMPI_COMM_WORLD_SIZE": "8", "OMPI_COMM_WORLD_LOCAL_RANK": "1"},
        (5, 8, 1),
    ),
    "MPICH": ({"PMI_RANK": "5", "PMI_SIZE": "8", "MPI_LOCALRANKID": "1"}, (5, 8, 1)),
    "MVAPICH": ({"MV2_COMM_WORLD_RANK": "5", "MV2_COMM_WORLD_SIZE": "8", "MV2_COMM_WORLD_LOCAL_RANK": "1"}, (5, 8, 1)),
    "JAX": ({"JAX_PROCESS_ID": "5", "JAX_NUM_PROCESSES": "8"}, (5, 8, 5)),
    "Horovod": ({"HOROVOD_RANK": "5", "HOROVOD_SIZE": "8", "HOROVOD_LOCAL_RANK": "1"}, (5, 8, 1)),
    "LSF": ({"JSM_NAMESPACE_RANK": "5", "JSM_NAMESPACE_SIZE": "8", "JSM_NAMESPACE_LOCAL_RANK": "1"}, (5, 8, 1)),
    "TPU": ({"TPU_WORKER_ID": "1", "TPU_WORKER_HOSTNAMES": "a,b"}, (1, 2, 0)),
}
ALONE = ranks.Rank(0, 1, 0, "")


@pytest.mark.parametrize("source", LAUNCHERS)
def test_a_launcher_tells_the_rank(source):
    environment, expected = LAUNCHERS[source]
    assert ranks.detect(environment) == (*expected, source)


@pytest.mark.parametrize("source", LAUNCHERS)
def test_one_that_has_started_a_process_alone_tells_none(source):
    environment = dict.fromkeys(LAUNCHERS[source][0], "0")
    size = next(name for name in environment if name.endswith(("SIZE", "NTASKS", "PROCESSES", "HOSTNAMES")))
    assert ranks.detect(environment | {size: "1"})[:3] == ALONE[:3]


@pytest.mark.parametrize("source", [name for name in LAUNCHERS if name not in {"SLURM", "LSF", "TPU"}])
def test_what_is_started_inside_a_task_of_slurm_counts(source):
    """A batch script is task 0 of as many as were asked for, and what it starts inherits that."""
    environment, expected = LAUNCHERS[source]
    assert ranks.detect({"SLURM_PROCID": "0", "SLURM_NTASKS": "8", "SLURM_LOCALID": "0", **environment})[:2] == expected[:2]


def test_a_job_of_one_by_torchrun_is_one_in_each_task_of_slurm():
    assert ranks.detect({**LAUNCHERS["SLURM"][0], "RANK": "0", "WORLD_SIZE": "1"}) == (0, 1, 0, "torchrun")


def test_the_tasks_of_a_step_count_and_not_those_of_the_whole_allocation():
    environment = {"SLURM_PROCID": "0", "SLURM_NTASKS": "8", "SLURM_STEP_NUM_TASKS": "1"}
    assert ranks.detect(environment) == ALONE


@pytest.mark.parametrize(
    ("index", "size"),
    [
        ("8", "8"),
        ("-1", "8"),
        ("one", "8"),
        ("0", ""),
        ("1.0", "2"),
        ("0", "many"),
        ("\N{SUPERSCRIPT TWO}", "8"),
        ("0", "9" * 5000),
    ],
    ids=lambda text: text[:12],
)
def test_nonsense_is_ignored_and_said_once(index, size, recwarn, monkeypatch):
    monkeypatch.setattr(ranks, "_reports", mb.run.Reports())
    environment = {"RANK": index, "WORLD_SIZE": size, "PMI_RANK": "1", "PMI_SIZE": "2"}
    assert [ranks.detect(environment).source for _ in range(2)] == ["MPICH", "MPICH"]
    (said,) = recwarn
    assert f"RANK={index!r}, WORLD_SIZE={size!r} name no rank" in str(said.message)


def test_variables_that_are_not_complete_say_nothing(recwarn):
    assert ranks.detect({"RANK": "gold", "SLURM_PROCID": "3"}) == ALONE
    assert not recwarn


class Frameworks:
    """What the modules of frameworks tell once their processes have met."""

    def torch(self, index, size, *, initialized=True):
        return SimpleNamespace(
            is_available=lambda: True,
            is_initialized=lambda: initialized,
            get_rank=lambda: index,
            get_world_size=lambda: size,
        )

    def jax(self, index, size, *, client=object()):  # noqa: B008
        return SimpleNamespace(global_state=SimpleNamespace(process_id=index, num_processes=size, client=client))


def test_a_framework_whose_processes_have_met_knows_better_than_the_variables(monkeypatch):
    told = LAUNCHERS["torchrun"][0]
    monkeypatch.setitem(sys.modules, "jax._src.distributed", Frameworks().jax(2, 3))
    assert ranks.detect(told) == (2, 3, 1, "jax.distributed")
    monkeypatch.setitem(sys.modules, "torch.distributed", Frameworks().torch(1, 2))
    assert ranks.detect(told) == (1, 2, 1, "torch.distributed")


def test_a_framework_whose_processes_have_not_met_leaves_it_to_the_variables(monkeypatch):
    monkeypatch.setitem(sys.modules, "jax._src.distributed", Frameworks().jax(0, 1, client=None))
    monkeypatch.setitem(sys.modules, "torch.distributed", Frameworks().torch(0, 1, initialized=False))
    assert ranks.detect(LAUNCHERS["torchrun"][0]).source == "torchrun"
    for half in (SimpleNamespace(), SimpleNamespace(is_available=lambda: True)):  # another thread imports it
        monkeypatch.setitem(sys.modules, "torch.distributed", half)
        assert ranks.detect({}) == ALONE


@pytest.mark.parametrize("wrong", [1, 0, "yes", 1.0])
def test_per_rank_is_true_false_or_none(wrong, log_dir):
    with pytest.raises(mb.ArgumentError, match=r"per_rank.*True, False or None"):
        mb.Run(log_dir, per_rank=wrong)


def test_what_is_silent_is_said_once_and_not_as_a_warning(log_dir, monkeypatch, caplog, recwarn):
    monkeypatch.setattr(ranks, "_reports", mb.run.Reports())
    monkeypatch.setattr(ranks.os, "environ", LAUNCHERS["torchrun"][0])
    with caplog.at_level(logging.INFO, "multiboard"):
        for _ in range(2):
            mb.Run(log_dir).close()
    assert [record.levelname for record in caplog.records] == ["INFO"]
    assert "rank 5 of 8 by torchrun" in caplog.text
    assert not recwarn


@pytest.mark.parametrize("also", [{}, LAUNCHERS["MPICH"][0]])
def test_where_programs_may_be_no_job_it_is_a_warning(also, log_dir, monkeypatch):
    """SLURM also starts trainings that know nothing of each other, and one that writes nothing would be lost."""
    monkeypatch.setattr(ranks, "_reports", mb.run.Reports())
    monkeypatch.setattr(ranks.os, "environ", LAUNCHERS["SLURM"][0] | also)
    with pytest.warns(mb.MultiboardWarning, match="rank 5 of 8 by .*, and only rank 0 writes.*per_rank=None"):
        mb.Run(log_dir).close()
