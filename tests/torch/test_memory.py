"""Statistics of allocators become tags; where there is no accelerator nothing is written and nothing raises."""

from types import SimpleNamespace

import pytest
import torch

import multiboard as mb
from multiboard_torch.memory import device_statistics, memory_scalars, memory_stats

MIB = 2**20


def pools(current, peak, allocated, freed):
    counted = {"current": current, "peak": peak, "allocated": allocated, "freed": freed}
    return {"all": counted, "small_pool": dict.fromkeys(counted, 7), "large_pool": dict.fromkeys(counted, 9)}


def cuda_statistics(allocated=3, reserved=8, peak=5, retries=2, ooms=1):
    """Return what `torch.cuda.memory_stats_as_nested_dict` returns, sizes in MiB."""
    return {
        "num_alloc_retries": retries,
        "num_ooms": ooms,
        "max_split_size": -1,
        "num_sync_all_streams": 0,
        "num_device_alloc": 4,
        "num_device_free": 0,
        "allocation": pools(30, 40, 900, 870),
        "segment": pools(3, 3, 3, 0),
        "allocated_bytes": pools(allocated * MIB, peak * MIB, 90 * MIB, 87 * MIB),
        "reserved_bytes": pools(reserved * MIB, reserved * MIB, reserved * MIB, 0),
        "active_bytes": pools(allocated * MIB, peak * MIB, 90 * MIB, 87 * MIB),
        "inactive_split_bytes": pools(0, 0, 0, 0),
        "oversize_allocations": {"current": 0, "peak": 0, "allocated": 0, "freed": 0},
    }


def flat(nested, prefix=""):
    """Return the form of `torch.cuda.memory_stats` and `torch.accelerator.memory_stats`."""
    found = {}
    for key, value in nested.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return found


UNUSED = {**cuda_statistics(0, 0, 0, 0, 0), "reserved_bytes": pools(0, 0, 0, 0)}
EXPECTED = {
    "system/gpu_memory_allocated_mib": 3.0,
    "system/gpu_memory_reserved_mib": 8.0,
    "system/gpu_memory_peak_mib": 5.0,
    "system/gpu_allocation_retries": 2.0,
    "system/gpu_ooms": 1.0,
}


@pytest.mark.parametrize("form", [dict, flat], ids=["nested", "flat"])
@pytest.mark.parametrize("index", [0, 3])
def test_the_only_device_in_use_has_tags_without_a_number(form, index):
    statistics = {position: form(UNUSED) for position in range(4)} | {index: form(cuda_statistics())}
    assert memory_scalars(statistics) == EXPECTED


def test_several_devices_in_use_are_numbered():
    scalars = memory_scalars({0: cuda_statistics(allocated=1), 1: UNUSED, 2: cuda_statistics(allocated=2)})
    assert {tag: value for tag, value in scalars.items() if "allocated" in tag} == {
        "system/gpu0_memory_allocated_mib": 1.0,
        "system/gpu2_memory_allocated_mib": 2.0,
    }
    assert len(scalars) == 2 * len(EXPECTED)


def test_a_device_whose_memory_was_given_back_is_still_written():
    given_back = {**cuda_statistics(0, 0, 5), "reserved_bytes": pools(0, 0, 8 * MIB, 8 * MIB)}
    assert memory_scalars({0: given_back})["system/gpu_memory_peak_mib"] == 5.0


def test_what_a_backend_does_not_count_is_left_out():
    mps = {"allocated_bytes.all.current": 2 * MIB, "reserved_bytes.all.current": 6 * MIB}
    assert memory_scalars({0: mps}) == {"system/gpu_memory_allocated_mib": 2.0, "system/gpu_memory_reserved_mib": 6.0}


def test_the_run_takes_the_scalars_as_they_are(log_dir, written):
    with mb.Run(log_dir) as run:
        run.log(memory_scalars({0: cuda_statistics()}), 4)
    assert {tag: (column.step.tolist(), column.value.tolist()) for tag, column in written().scalars.items()} == {
        tag: ([4], [value]) for tag, value in EXPECTED.items()
    }


@pytest.mark.parametrize("name", ["memory_stats_as_nested_dict", "memory_stats"])
def test_a_backend_is_read_only_if_the_process_has_started_it(name):
    asked = []

    def read(index):
        asked.append(index)
        return cuda_statistics()

    backend = SimpleNamespace(is_initialized=lambda: False, device_count=lambda: 2, **{name: read})
    assert device_statistics(backend) == {}
    assert asked == []
    backend.is_initialized = lambda: True
    assert list(device_statistics(backend)) == asked == [0, 1]


def test_a_backend_without_statistics_gives_none():
    assert device_statistics(SimpleNamespace(is_initialized=lambda: True, device_count=lambda: 1)) == {}


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has an accelerator")
def test_without_an_accelerator_there_is_nothing_and_nothing_is_started():
    assert memory_stats() == {}
    assert not torch.cuda.is_initialized()
    assert not torch.xpu.is_initialized()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_on_cuda_it_agrees_with_torch_and_does_not_wait():
    kept = torch.zeros(3, 2**20, device="cuda")
    torch.cuda.set_sync_debug_mode("error")
    try:
        scalars = memory_stats()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    allocated = sum(value for tag, value in scalars.items() if tag.endswith("memory_allocated_mib"))
    assert allocated == torch.cuda.memory_allocated() / MIB
    assert allocated >= kept.nbytes / MIB
