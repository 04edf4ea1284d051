"""Files that are made to hurt cost neither memory nor time; each is read in a process with little of both."""

import struct
import subprocess
import sys

import pytest

from multiboard import proto
from multiboard.records import frame, masked_crc

READ = """
import resource, sys
import multiboard as mb, multiboard.reader
from multiboard import proto
here = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (here + 400_000_000,) * 2)
run = mb.read(sys.argv[1])["."]
damage = [place.reason for places in run.damage.values() for place in places]
print(len(damage), sum(len(c) for c in run.scalars.values()), any("Memory" in reason for reason in damage))
"""


def header(length):
    packed = struct.pack("<Q", length)
    return packed + struct.pack("<I", masked_crc(packed))


def tensor(sizes, **content):
    event = proto.Event(step=1)
    value = event.summary.value.add(tag="x")
    value.metadata.plugin_data.plugin_name = "histograms"
    value.tensor.dtype = 1
    for size in sizes:
        value.tensor.tensor_shape.dim.add(size=size)
    for name, numbers in content.items():
        getattr(value.tensor, name).extend(numbers)
    return frame(event.SerializeToString())


def values(count):
    """Many empty values in one event."""
    summary = b"\x0a\x00" * count
    length = len(summary)
    varint = bytes([length & 127 | 128, length >> 7 & 127 | 128, length >> 14 & 127 | 128, length >> 21])
    return frame(b"\x2a" + varint + summary)


good = frame(proto.Event(step=1, summary={"value": [{"tag": "x", "simple_value": 1.0}]}).SerializeToString())
HOSTILE = {
    "empty": (b"", 0, 0),
    "4 GB": (good + header(2**32) + b"x" * 99, 1, 1),
    "2^63": (good + header(2**63) + b"x" * 99, 1, 1),
    "2^64 - 1": (good + header(2**64 - 1), 1, 1),
    "2^64 - 16": (good + header(2**64 - 16) + good, 1, 1),
    "a shape of 2^40": (tensor([2**40], float_val=[1.0]) + good, 1, 1),
    "a shape beyond all": (tensor([2**62, 2**62], float_val=[1.0, 2.0]) + good, 1, 1),
    "a negative shape": (tensor([-5, 3]) + good, 1, 1),
    "many empty values": (values(300_000) + good, 0, 1),
    "many empty records": (frame(b"") * 300_000 + good, 0, 1),
    "many damaged records": ((header(0) + b"xxxx") * 300_000 + good, 300_000, 1),
    "a damaged length before every record": ((b"x" * 13 + good) * 20_000, 20_000, 20_000),
    "zeros": (bytes(5_000_000), 1, 0),
    "headers of the rest of the file": (b"".join(header(3_000_000 - 12 * i - 16) for i in range(249_998)) + bytes(24), 1, 0),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_reading_it_is_cheap_and_says_what_is_wrong(tmp_path, name):
    data, places, points = HOSTILE[name]
    (tmp_path / "tfevents").write_bytes(data)
    done = subprocess.run([sys.executable, "-c", READ, tmp_path], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    damage, found, out_of_memory = done.stdout.split()
    assert (int(damage), int(found), out_of_memory) == (places, points, "False")
