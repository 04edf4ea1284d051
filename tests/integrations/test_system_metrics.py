"""System metrics are those of the machine and of this process, by other means: /proc, the clock of the process, statvfs."""

import itertools
import os
import socket
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import multiboard as mb
from multiboard.system import machine

ONE_READING = 3600.0
"""Seconds between readings, so that there is but one, at the end of the run."""
OF_EVERY_MACHINE = {
    "system/cpu_pct",
    "system/process_cpu_pct",
    "system/memory_gb",
    "system/memory_pct",
    "system/process_memory_gb",
    "system/disk_used_pct",
    "system/network_sent_mb_per_s",
    "system/network_received_mb_per_s",
}


@pytest.fixture
def measured(tmp_path):
    """A function that does something in a run and returns the means over that time by tag, as they were written."""

    def measure(action, name="run"):
        with mb.Run(tmp_path / name, system=ONE_READING) as run:
            run.log({"x": 1.0}, 0)
            action()
        scalars = mb.read(tmp_path / name)["."].scalars
        return {tag: float(column.value[0]) for tag, column in scalars.items() if tag.startswith("system/")}

    return measure


def spin(seconds):
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        sum(range(1000))


def proc(path, name):
    """Return a number of a file like /proc/meminfo, in bytes."""
    (line,) = (line for line in Path(path).read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024


class Bounds:
    """What a rate can be that was measured over a time within an outer and around an inner one, by a counter that only grows.

    Args:
        counter: returns what is counted.
    """

    def __init__(self, counter):
        self._counter, self.inner = counter, (0.0, 1.0)
        self._began = self._now()

    def _now(self):
        return np.array([self._counter(), time.perf_counter()])

    def around(self, action):
        """Return an action whose count and time are the inner ones."""

        def call():
            began = self._now()
            action()
            self.inner = self._now() - began

        return call

    def hold(self, rate, tolerance=0.01):
        """Tell whether a rate is possible, now that the outer time is over."""
        outer = self._now() - self._began
        least, most = self.inner[0] / outer[1], outer[0] / self.inner[1]
        return least * (1 - tolerance) <= rate <= most * (1 + tolerance)


def test_the_time_of_this_process_is_what_its_clock_says(measured):
    bounds = Bounds(lambda: 100 * time.process_time())
    found = measured(bounds.around(lambda: spin(1.0)))["system/process_cpu_pct"]
    assert bounds.hold(found)


def test_the_time_of_all_processors_is_what_the_kernel_says(measured):
    def spent():
        user, nice, system, idle, iowait, *rest = map(int, Path("/proc/stat").read_text().split()[1:9])
        return user + nice + system + sum(rest), idle + iowait

    before = spent()
    found = measured(lambda: spin(1.5))["system/cpu_pct"]
    busy, idle = np.subtract(spent(), before)
    assert found == pytest.approx(100 * busy / (busy + idle), abs=10)
    assert found > 50 / os.cpu_count()


def test_memory_that_the_process_takes_is_seen(measured):
    before = measured(lambda: time.sleep(0.05), "before")["system/process_memory_gb"]
    held = np.ones(200_000_000, np.uint8)
    after = measured(lambda: time.sleep(0.05), "after")
    assert after["system/process_memory_gb"] - before == pytest.approx(held.nbytes / 1e9, rel=0.2)
    assert after["system/process_memory_gb"] == pytest.approx(proc("/proc/self/status", "VmRSS") / 1e9, rel=0.1)
    taken = proc("/proc/meminfo", "MemTotal") - proc("/proc/meminfo", "MemAvailable")
    assert after["system/memory_gb"] == pytest.approx(taken / 1e9, rel=0.3)
    assert after["system/memory_pct"] == pytest.approx(100 * taken / proc("/proc/meminfo", "MemTotal"), rel=0.3, abs=1)


def test_the_disk_is_that_of_the_run(measured, tmp_path):
    disk = os.statvfs(tmp_path)
    used = disk.f_blocks - disk.f_bfree
    assert measured(lambda: time.sleep(0.05))["system/disk_used_pct"] == pytest.approx(
        100 * used / (used + disk.f_bavail), abs=0.5
    )


def test_a_file_that_is_written_is_traffic_of_the_disk_where_the_kernel_counts_it(measured, tmp_path):
    def written():
        disks = (device for device in Path("/sys/block").iterdir() if not any(device.joinpath("slaves").iterdir()))
        named = (device for device in disks if not device.name.startswith(("loop", "ram", "zram")))
        return sum(int(device.joinpath("stat").read_text().split()[6]) * 512 / 1e6 for device in named)

    def write():
        with (tmp_path / "file").open("wb") as file:
            file.write(os.urandom(20_000_000))
            file.flush()
            os.fsync(file.fileno())
        time.sleep(0.1)

    bounds = Bounds(written)
    found = measured(bounds.around(write)).get("system/disk_write_mb_per_s", 0.0)
    assert bounds.hold(found)


@pytest.fixture
def devices(tmp_path, monkeypatch):
    """What reads a source on a machine of made-up devices, each of which moves one MB from one look to the next."""
    for tree in ("_BLOCK_DEVICES", "_INTERFACES"):
        (tmp_path / tree).mkdir()
        monkeypatch.setattr(machine, tree, tmp_path / tree)
    looks = itertools.count()

    def counted(names):
        moved = 1e6 * next(looks)
        return dict.fromkeys(names, SimpleNamespace(read_bytes=moved, write_bytes=moved, bytes_sent=moved, bytes_recv=moved))

    def make(source, names, *paths):
        for path in paths:
            (tmp_path / path).mkdir(parents=True)
        counters = {name: lambda **_: counted(names) for name in ("disk_io_counters", "net_io_counters")}
        usage = SimpleNamespace(disk_usage=lambda _: SimpleNamespace(percent=50.0), **counters)
        monkeypatch.setattr(machine, "monotonic", itertools.count().__next__)
        return source(usage, str(tmp_path)).read()

    return make


def test_a_disk_counts_once_whatever_is_made_of_it(devices):
    own = [f"_BLOCK_DEVICES/{name}/slaves" for name in ("sda", "nvme0n1", "loop0", "zram0")]
    names = ["sda", "sda1", "nvme0n1", "dm-0", "md0", "loop0", "zram0"]
    found = devices(machine.Disk, names, *own, "_BLOCK_DEVICES/dm-0/slaves/sda1", "_BLOCK_DEVICES/md0/slaves/nvme0n1")
    assert found == {"system/disk_read_mb_per_s": 2.0, "system/disk_write_mb_per_s": 2.0, "system/disk_used_pct": 50.0}


def test_a_machine_without_disks_has_no_traffic_of_them(devices):
    assert devices(machine.Disk, []) == {"system/disk_used_pct": 50.0}


def test_bridges_and_bonds_are_no_traffic_beside_that_of_the_hardware(devices):
    names = ["lo", "eth0", "ib0", "bond0", "docker0", "veth1"]
    found = devices(machine.Network, names, "_INTERFACES/eth0/device", "_INTERFACES/ib0/device", "_INTERFACES/docker0")
    assert found == {"system/network_sent_mb_per_s": 2.0, "system/network_received_mb_per_s": 2.0}


def test_in_a_container_all_interfaces_count_but_that_of_the_machine_with_itself(devices):
    found = devices(machine.Network, ["lo", "eth0"])
    assert found == {"system/network_sent_mb_per_s": 1.0, "system/network_received_mb_per_s": 1.0}


def test_what_stays_on_the_machine_is_no_traffic_of_the_network(measured):
    def send():
        with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as out:
            into, _ = server.accept()
            reader = threading.Thread(target=lambda: [None for _ in iter(lambda: into.recv(1 << 20), b"")])
            reader.start()
            for _ in range(100):
                out.sendall(bytes(1 << 20))
            out.shutdown(socket.SHUT_WR)
            reader.join()
            into.close()

    began = time.perf_counter()
    found = measured(send)
    sent = 100 * (1 << 20) / 1e6 / (time.perf_counter() - began)
    assert found["system/network_sent_mb_per_s"] < sent / 2
    assert found["system/network_received_mb_per_s"] < sent / 2


def test_every_machine_has_the_same_tags(measured):
    assert set(measured(lambda: spin(0.3))) >= OF_EVERY_MACHINE
