"""Statistics of allocators become tags; on a CPU there are none."""

import jax
import pytest

import multiboard as mb
import multiboard.jax as mbj
from multiboard_jax.memory import memory_scalars

MIB = 2**20


def gpu_statistics(allocated=25, peak=100, pool=48000, allocations=36):
    """Return what `memory_stats` of a GPU returns, sizes in MiB: jax 0.11 on an H100."""
    return {
        "num_allocs": allocations,
        "bytes_in_use": allocated * MIB,
        "peak_bytes_in_use": peak * MIB,
        "largest_alloc_size": 32 * MIB,
        "bytes_limit": 60000 * MIB,
        "bytes_reserved": 0,
        "peak_bytes_reserved": 0,
        "largest_free_block_bytes": 0,
        "pool_bytes": pool * MIB,
        "peak_pool_bytes": pool * MIB,
    }


def tpu_statistics():
    """Return what `memory_stats` of a TPU returns: it has no pool."""
    return {
        "num_allocs": 7,
        "bytes_in_use": 3 * MIB,
        "peak_bytes_in_use": 9 * MIB,
        "largest_alloc_size": MIB,
        "bytes_limit": 16000 * MIB,
        "bytes_reserved": 5 * MIB,
        "peak_bytes_reserved": 5 * MIB,
        "bytes_reservable_limit": 16000 * MIB,
        "largest_free_block_bytes": 100 * MIB,
    }


UNUSED = gpu_statistics(allocated=0, peak=0, pool=0, allocations=0)


@pytest.mark.parametrize("index", [0, 3])
def test_the_only_device_in_use_has_tags_without_a_number(index):
    assert memory_scalars(dict.fromkeys(range(4), UNUSED) | {index: gpu_statistics()}) == {
        "system/gpu_memory_allocated_mib": 25.0,
        "system/gpu_memory_reserved_mib": 48000.0,
        "system/gpu_memory_peak_mib": 100.0,
        "system/gpu_memory_limit_mib": 60000.0,
        "system/gpu_allocations": 36.0,
    }


def test_several_devices_in_use_are_numbered():
    scalars = memory_scalars({0: gpu_statistics(allocated=1), 1: UNUSED, 2: gpu_statistics(allocated=2)})
    assert {tag: value for tag, value in scalars.items() if "allocated" in tag} == {
        "system/gpu0_memory_allocated_mib": 1.0,
        "system/gpu2_memory_allocated_mib": 2.0,
    }
    assert len(scalars) == 2 * 5


def test_a_tpu_has_the_same_tags():
    assert memory_scalars({0: tpu_statistics()}) == {
        "system/gpu_memory_allocated_mib": 3.0,
        "system/gpu_memory_reserved_mib": 5.0,
        "system/gpu_memory_peak_mib": 9.0,
        "system/gpu_memory_limit_mib": 16000.0,
        "system/gpu_allocations": 7.0,
    }


def test_a_device_whose_arrays_are_gone_is_still_written():
    assert memory_scalars({0: gpu_statistics(allocated=0)})["system/gpu_memory_allocated_mib"] == 0.0


@pytest.mark.parametrize("statistics", [{}, {0: {}}, {0: {"bytes_limit": 5}}])
def test_what_counts_nothing_gives_nothing(statistics):
    assert memory_scalars(statistics) == {}


def test_the_run_takes_the_scalars_as_they_are(log_dir, written):
    with mb.Run(log_dir) as run:
        run.log(memory_scalars({0: gpu_statistics()}), 4)
    assert {tag: column.value.tolist() for tag, column in written().scalars.items()} == {
        tag: [value] for tag, value in memory_scalars({0: gpu_statistics()}).items()
    }


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="this machine has an accelerator")
def test_on_a_cpu_there_is_nothing():
    assert mbj.memory_stats() == {}


@pytest.mark.skipif(jax.default_backend() == "cpu", reason="needs an accelerator")
def test_on_an_accelerator_it_agrees_with_jax():
    kept = jax.numpy.zeros((3, 2**20)).block_until_ready()
    allocated = sum(value for tag, value in mbj.memory_stats().items() if tag.endswith("memory_allocated_mib"))
    assert allocated == sum(device.memory_stats()["bytes_in_use"] for device in jax.local_devices()) / MIB
    assert allocated >= kept.nbytes / MIB
