"""Eight processes write at the same time, and are killed and resumed at random: what was flushed is there, in whole files."""

import os
import random
import signal
import struct
import subprocess
import sys
import time
from collections import defaultdict

import google_crc32c
import pytest

import multiboard as mb

PROCESSES, KILLS, DEADLINE = 8, 20, 60.0
WORKER = """
import sys, time
import multiboard as mb
log_dir, index, first, shared = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == "shared"
say = lambda *words: print(*words, flush=True)
if shared:
    run = mb.Run(log_dir, resume="add", per_rank=None)
else:
    run = mb.Run(log_dir, per_rank=True, resume=True)
    first = run.start_step
say("opened", first)
step = first
while True:
    for _ in range(7):
        run.log({f"x/{index}": float(1000 * index + step % 1000), f"y/{index}": 1.0}, step)
        if step % 5 == 0:
            run.histogram(f"h/{index}", [1.0, 2.0, float(step)], step)
        step += 1
    if run.flush():
        say("flushed", step)
    time.sleep(0.002)
"""


class Writer:
    """One of the processes, each time that it is started again."""

    def __init__(self, log_dir, index, mode, outputs):
        self.index, self.mode, self.log_dir, self.outputs = index, mode, log_dir, outputs
        self.flushed, self.opened, self.starts = set(), [], 0
        self.start()

    def start(self):
        first = max(self.flushed, default=-1) + 1
        self.output = self.outputs / f"{self.index}_{self.starts}.txt"
        self.starts += 1
        command = [sys.executable, "-W", "ignore", "-c", WORKER, str(self.log_dir), str(self.index), str(first), self.mode]
        environment = os.environ | {"RANK": str(self.index), "WORLD_SIZE": str(PROCESSES)}
        with self.output.open("w") as out:
            self.process = subprocess.Popen(command, stdout=out, stderr=out, env=environment)

    def end(self, number):
        """Send a signal and take notice of what the process has said; a half written line does not count."""
        self.process.send_signal(number)
        self.process.wait(30)
        lines = [line.split() for line in self.output.read_text().splitlines(keepends=True) if line.endswith("\n")]
        begun = None
        for word, step in lines:
            if word == "opened":
                begun = int(step)
                self.opened.append(begun)
            else:
                self.flushed |= set(range(begun, int(step)))

    def has_flushed(self):
        return "flushed" in self.output.read_text()


@pytest.fixture(scope="module", params=["per rank", "shared"])
def written(request, tmp_path_factory):
    """The directory, the mode and the writers after all of it."""
    log_dir, outputs = tmp_path_factory.mktemp("runs") / "job", tmp_path_factory.mktemp("outputs")
    rng = random.Random(10)  # noqa: S311  # no secret
    writers = [Writer(log_dir, index, request.param, outputs) for index in range(PROCESSES)]
    try:
        until = time.monotonic() + DEADLINE
        for _ in range(KILLS):
            chosen = rng.choice(writers)
            while rng.random() < 0.8 and not chosen.has_flushed():  # most have written something when they are killed
                assert time.monotonic() < until, chosen.output.read_text()
                assert chosen.process.poll() is None, chosen.output.read_text()
                time.sleep(0.01)
            time.sleep(rng.random() * 0.1)
            chosen.end(signal.SIGKILL)
            chosen.start()
        while not all(writer.has_flushed() for writer in writers):
            assert time.monotonic() < until
            time.sleep(0.01)
        for writer in writers:
            writer.end(rng.choice([signal.SIGKILL, signal.SIGTERM]))
    finally:
        for writer in writers:
            writer.process.kill()
            writer.process.wait()
    return log_dir, request.param, writers


def frames_of(data):
    """Yield the records of a file, by the definition of the format; return how many bytes are left."""
    at = 0
    while len(data) - at >= 12:
        (size,) = struct.unpack_from("<Q", data, at)
        if len(data) - at < 16 + size:
            break
        assert masked(data[at : at + 8]) == data[at + 8 : at + 12]
        assert masked(data[at + 12 : at + 12 + size]) == data[at + 12 + size : at + 16 + size]
        yield data[at + 12 : at + 12 + size]
        at += 16 + size
    return len(data) - at


def masked(data):
    crc = google_crc32c.value(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def test_nothing_that_was_flushed_is_lost(written):
    log_dir, mode, writers = written
    runs = mb.read(log_dir)
    assert sum(len(writer.flushed) for writer in writers) > 100 * PROCESSES
    for writer in writers:
        data = runs["." if mode == "shared" else f"rank_0000{writer.index}"]
        for name in ("x", "y"):
            column = data.scalars[f"{name}/{writer.index}"]
            assert set(column.step.tolist()) >= writer.flushed
        found = dict(zip(column.step.tolist(), data.scalars[f"x/{writer.index}"].value.tolist(), strict=False))
        assert all(found[step] == 1000 * writer.index + step % 1000 for step in writer.flushed)
        assert set(data.histograms[f"h/{writer.index}"].step.tolist()) >= {step for step in writer.flushed if step % 5 == 0}


def test_ranks_go_on_where_they_were_killed(written):
    log_dir, mode, writers = written
    if mode == "shared":  # there the caller says at which step
        assert not (log_dir / "rank_00000").exists()
        return
    for writer in writers:
        steps = mb.read(log_dir)[f"rank_0000{writer.index}"].scalars[f"x/{writer.index}"].step
        assert (steps[1:] > steps[:-1]).all()
        assert writer.opened == sorted(writer.opened)


def test_no_file_is_torn_but_at_its_end(written):
    log_dir, _, writers = written
    files = [path for path in log_dir.rglob("events.*") if path.is_file()]
    for path in files:
        whole = list(frames_of(path.read_bytes()))
        assert b"brain.Event:2" in whole[0] if whole else path.stat().st_size < 40
    assert len(files) >= sum(len(writer.opened) for writer in writers)


def test_no_name_is_used_twice(written):
    """Each process that could say that it has opened its run has a file of its own, named after it."""
    log_dir, _, writers = written
    files = defaultdict(list)
    for path in log_dir.rglob("events.*"):
        files[path.name.rpartition(".")[2]].append(path)
    assert all(len(found) == 1 for found in files.values())
    assert len(files) >= sum(len(writer.opened) for writer in writers)
