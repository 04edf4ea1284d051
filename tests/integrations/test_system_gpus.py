"""GPUs, with libraries of the vendors that are made up: what is shown is what the code makes of their answers, and no driver."""

import sys
from types import ModuleType, SimpleNamespace

import pytest

import multiboard as mb
from multiboard.system import amd, nvidia, tpu

UUIDS = ["GPU-aa11", "GPU-ab22", "GPU-cc33"]


class NVMLError(Exception):
    def __init__(self, value):
        super().__init__(value)
        self.value = value


def nvml(count=3, **changes):
    """A module with the names of nvidia-ml-py; the handle of a GPU is its number."""
    module = ModuleType("pynvml")
    module.__spec__ = SimpleNamespace()
    functions = {
        "NVMLError": NVMLError,
        "NVML_ERROR_NOT_SUPPORTED": 3,
        "NVML_ERROR_NO_PERMISSION": 4,
        "NVML_ERROR_DRIVER_NOT_LOADED": 9,
        "NVML_ERROR_LIBRARY_NOT_FOUND": 12,
        "NVML_TEMPERATURE_GPU": 0,
        "nvmlInit": lambda: None,
        "nvmlDeviceGetCount": lambda: count,
        "nvmlDeviceGetHandleByIndex": lambda index: index,
        "nvmlDeviceGetHandleByUUID": lambda uuid: {b"MIG-7": 7}[uuid],
        "nvmlDeviceGetUUID": lambda handle: UUIDS[handle].encode(),
        "nvmlDeviceGetUtilizationRates": lambda handle: SimpleNamespace(gpu=10 * handle, memory=0),
        "nvmlDeviceGetMemoryInfo": lambda handle: SimpleNamespace(used=(handle + 1) << 30, total=8 << 30, free=0),
        "nvmlDeviceGetPowerUsage": lambda handle: 70_500 + handle,
        "nvmlDeviceGetTemperature": lambda handle, sensor: 40 + handle + 100 * sensor,
    }
    vars(module).update(functions | changes)
    return module


def raises(value):
    def fail(*_):
        raise NVMLError(value)

    return fail


@pytest.fixture
def found(monkeypatch):
    """A function that returns what is read of GPUs with such a library, and such a CUDA_VISIBLE_DEVICES."""

    def read(module, visible=None):
        monkeypatch.setitem(sys.modules, "pynvml", module)
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        if visible is not None:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        source = nvidia.find(lambda *report: pytest.fail(str(report)))
        return None if source is None else dict(source.read())

    return read


def test_one_gpu_has_no_number(found):
    assert found(nvml(1)) == {
        "system/gpu_utilization_pct": 0.0,
        "system/gpu_memory_used_mib": 1024.0,
        "system/gpu_memory_used_pct": 12.5,
        "system/gpu_power_w": 70.5,
        "system/gpu_temperature_c": 40.0,
    }


def test_of_several_each_has_its_number(found):
    tags = found(nvml())
    assert [tags[f"system/gpu{index}_utilization_pct"] for index in range(3)] == [0.0, 10.0, 20.0]
    assert len(tags) == 15


@pytest.mark.parametrize(
    ("visible", "degrees"),
    [
        ("2,0", [42.0, 40.0]),
        (" 1 ", [41.0]),
        ("GPU-ab,GPU-aa11", [41.0, 40.0]),
        ("MIG-7", [47.0]),
        ("0,9,1", [40.0]),
        ("0,-1,1", [40.0]),
        ("GPU-a", None),
        ("GPU-zz", None),
        ("-1", None),
        ("NoDevFiles", None),
        ("", None),
    ],
)
def test_gpus_are_those_of_cuda_in_its_order(found, visible, degrees):
    tags = found(nvml(), visible)
    read = tags and [value for tag, value in tags.items() if tag.endswith("temperature_c")]
    assert read == degrees


def test_what_a_gpu_does_not_support_is_left_out(found):
    tags = found(nvml(1, nvmlDeviceGetPowerUsage=raises(3), nvmlDeviceGetUtilizationRates=raises(4)))
    assert set(tags) == {"system/gpu_memory_used_mib", "system/gpu_memory_used_pct", "system/gpu_temperature_c"}


def test_gpus_that_a_scheduler_has_given_to_others_do_not_count(found):
    """CUDA numbers those that are left from 0, too."""

    def handle_of(index):
        return raises(4)() if index == 0 else index

    degrees = [f"system/gpu{index}_temperature_c" for index in range(2)]
    tags = found(nvml(nvmlDeviceGetHandleByIndex=handle_of), "0,1")
    assert [tags[tag] for tag in degrees] == [41.0, 42.0]


@pytest.mark.parametrize("value", [9, 12])
def test_a_machine_without_a_driver_has_no_gpus(found, value):
    assert found(nvml(nvmlInit=raises(value))) is None


def test_a_gpu_that_is_lost_is_an_error(found):
    with pytest.raises(NVMLError):
        found(nvml(nvmlDeviceGetMemoryInfo=raises(15)))


def test_a_driver_that_fails_is_said_and_left_out(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", nvml(nvmlInit=raises(999)))
    with pytest.warns(mb.MultiboardWarning, match="metrics of nvidia are left out: NVMLError"), mb.Run(tmp_path, system=60):
        pass


def test_a_gpu_without_the_library_is_said_with_the_command(monkeypatch, tmp_path):
    node = tmp_path / "nvidiactl"
    node.touch()
    monkeypatch.setattr(nvidia, "_NODE", node)
    monkeypatch.setattr(nvidia, "find_spec", lambda _: None)
    reports = []
    assert nvidia.find(lambda *report: reports.append(report)) is None
    assert "pip install 'multiboard[system]'" in reports[0][1]


AmdSmiLibraryException = type("AmdSmiLibraryException", (Exception,), {})


def amdsmi(**changes):
    """A module with the names of amdsmi; the handle of a GPU is its number."""
    module = ModuleType("amdsmi")
    module.__spec__ = SimpleNamespace()
    functions = {
        "AmdSmiLibraryException": AmdSmiLibraryException,
        "AmdSmiInitFlags": SimpleNamespace(INIT_AMD_GPUS=2),
        "AmdSmiTemperatureType": SimpleNamespace(HOTSPOT=1),
        "AmdSmiTemperatureMetric": SimpleNamespace(CURRENT=0),
        "amdsmi_init": lambda _: None,
        "amdsmi_get_processor_handles": lambda: [0, 1],
        "amdsmi_get_gpu_device_uuid": lambda handle: f"GPU-{handle}",
        "amdsmi_get_gpu_activity": lambda handle: {"gfx_activity": 30 + handle, "umc_activity": 0, "mm_activity": "N/A"},
        "amdsmi_get_gpu_vram_usage": lambda _: {"vram_used": 512, "vram_total": 2048},
        "amdsmi_get_power_info": lambda _: {"current_socket_power": "N/A", "average_socket_power": 90},
        "amdsmi_get_temp_metric": lambda handle, *_: 50 + handle,
    }
    vars(module).update(functions | changes)
    return module


def fails(*_):
    raise AmdSmiLibraryException


def test_gpus_of_amd_have_the_same_tags(monkeypatch):
    monkeypatch.setitem(sys.modules, "amdsmi", amdsmi(amdsmi_get_temp_metric=fails))
    monkeypatch.setenv("HIP_VISIBLE_DEVICES", "1")
    assert dict(amd.find(print).read()) == {
        "system/gpu_utilization_pct": 31.0,
        "system/gpu_memory_used_mib": 512.0,
        "system/gpu_memory_used_pct": 25.0,
        "system/gpu_power_w": 90.0,
    }
    monkeypatch.setitem(sys.modules, "amdsmi", amdsmi(amdsmi_init=fails))
    assert amd.find(print) is None


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"vram_used": "N/A", "vram_total": "N/A"}, {}),
        ({"vram_used": 512, "vram_total": "N/A"}, {"system/gpu0_memory_used_mib": 512.0}),
    ],
)
def test_what_an_amd_gpu_does_not_know_of_its_memory_is_left_out(usage, expected, monkeypatch):
    for name in ("ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setitem(sys.modules, "amdsmi", amdsmi(amdsmi_get_gpu_vram_usage=lambda _: usage))
    read = amd.find(print).read()
    assert {tag: value for tag, value in read.items() if tag.startswith("system/gpu0_memory")} == expected
    assert read["system/gpu0_power_w"] == 90.0


def test_tpus_have_the_same_tags(monkeypatch):
    answers = {
        "duty_cycle_pct": ["12.5", "50.0"],
        "hbm_capacity_usage": [str(1 << 30)] * 2,
        "hbm_capacity_total": [str(4 << 30)] * 2,
    }
    monitoring = ModuleType("libtpu.sdk.tpumonitoring")
    monitoring.get_metric = lambda name: SimpleNamespace(data=lambda: answers[name])
    assert tpu.find(print) is None
    for name, module in {"libtpu": ModuleType("libtpu"), "libtpu.sdk.tpumonitoring": monitoring}.items():
        monkeypatch.setitem(sys.modules, name, module)
    source = tpu.find(print)
    assert dict(source.read())["system/gpu1_utilization_pct"] == 50.0
    assert dict(source.read())["system/gpu0_memory_used_mib"] == 1024.0
    answers.update({name: [] for name in answers})
    assert source.read() == {}
