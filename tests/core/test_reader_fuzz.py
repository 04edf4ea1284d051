# ruff: noqa: S311  # random bytes, no secrets
"""Whatever bytes an event file holds, the reader ends, stays small, invents nothing and says what is wrong.

2,000 files in every run. 200,000 files, in about fifteen minutes: pytest -m long tests/core/test_reader_fuzz.py
"""

import random
import struct
import tracemalloc
from contextlib import contextmanager, nullcontext

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import multiboard as mb
from multiboard.checksums import table
from multiboard.contents import Contents
from multiboard.records import frame

PER_EXAMPLE = 50
"""Files of one seed."""
CONSTANT, FACTOR = 2_000_000, 64
"""Bytes that reading may take: a constant, and a multiple of the file."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The bytes of one event file with every kind, and scalars in a table, in turn and alone."""
    directory = tmp_path_factory.mktemp("whole")
    with mb.Run(directory, config={"lr": 0.1, "name": "x"}) as run:
        for step in range(20):
            run.log({"x": float(step), "train/loss": step / 2}, step)
        run.flush()
        for step in range(6):
            for tag in ("a", "bc", "x"):
                run.scalar(tag, step / 4, 20 + step)
        run.histogram("h", [1.0, 2.0], 3)
        run.image("i", np.zeros((2, 2), np.uint8), 3)
        run.text("t", "text", 3)
        run.tensor("raw", np.arange(4), 3)
    (file,) = directory.iterdir()
    return file.read_bytes()


def split(data):
    """The payloads of an undamaged file."""
    payloads, offset = [], 0
    while offset < len(data):
        end = offset + 12 + struct.unpack_from("<Q", data, offset)[0]
        payloads.append(data[offset + 12 : end])
        offset = end + 4
    return payloads


def points(contents):
    return {
        (kind, tag, step, time, np.asarray(value).tobytes() if kind != "texts" else value)
        for kind, tag, chunk, _ in contents.columns()
        for step, time, value in zip(chunk.step.tolist(), chunk.wall_time.tolist(), list(chunk.value), strict=True)
        if kind not in {"images", "audios"}
    }


def read(data):
    """Read; the places of damage are in the file, and the memory is bounded by its size (if it is watched)."""
    tracemalloc.reset_peak()
    before, _ = tracemalloc.get_traced_memory()
    contents = Contents()
    damage = contents.add_file(data)
    columns = list(contents.columns())
    _, peak = tracemalloc.get_traced_memory()
    assert peak - before < CONSTANT + FACTOR * len(data)
    assert all(0 <= place.offset < len(data) for place in damage)
    assert all(len(c.step) == len(c.wall_time) == len(c.value) for _, _, c, _ in columns)
    return contents, damage


def edited(rng, data, count):
    """Bytes replaced, put in or taken out at a few places."""
    data = bytearray(data)
    for _ in range(count):
        position = rng.randrange(len(data) + 1)
        alphabet = rng.choice([b"\0", b"\xff", b"\x7f\x80\x01", bytes(range(256)), bytes([1 << i for i in range(8)])])
        fresh = bytes(rng.choice(alphabet) for _ in range(rng.randrange(10)))
        data[position : position + rng.choice([0, len(fresh), rng.randrange(10)])] = fresh
    return bytes(data)


def reframed(rng, whole):
    """Payloads that were changed, with the right checksums: alone, or all of one length in the same way."""
    payloads = split(whole)
    chosen = rng.choice(payloads)
    alike = rng.random() < 0.5
    seed = rng.random()
    return b"".join(
        frame(
            edited(random.Random(seed), payload, 2) if payload is chosen or (alike and len(payload) == len(chosen)) else payload
        )
        for payload in payloads
    )


def huge(rng, whole):
    """A length far beyond the file, with the right checksum, before one of the records."""
    payloads = split(whole)
    place = rng.randrange(len(payloads) + 1)
    length = struct.pack("<Q", rng.choice([len(whole), 2**31, 2**32, 2**62, 2**63 - 1, 2**63, 2**64 - 16, 2**64 - 1]))
    lone = frame(length)[20:24]  # the checksum of the eight bytes as a payload is that of the length
    return b"".join(map(frame, payloads[:place])) + length + lone + b"".join(map(frame, payloads[place:]))


def spliced(rng, whole):
    begin, end, place = (rng.randrange(len(whole)) for _ in range(3))
    return whole[:place] + whole[begin:end] + whole[place:]


def check_one(rng, whole, boundaries, written):
    """Read one file that is not as it was written."""
    way = rng.choice(["edited", "edited", "cut", "reframed", "reframed", "huge", "spliced", "garbage"])
    if way == "edited":
        data = edited(rng, whole, rng.randrange(1, 5))
    elif way == "cut":
        data = whole[: rng.randrange(len(whole))]
    elif way == "garbage":
        data = rng.randbytes(rng.randrange(400))
    else:
        data = {"reframed": reframed, "huge": huge, "spliced": spliced}[way](rng, whole)
    contents, damage = read(data)
    if way != "reframed":
        assert points(contents) <= written, "a point that nobody wrote"
    if way in {"edited", "cut", "huge", "garbage"} and len(data) not in boundaries:
        assert damage
    if way == "edited":
        assert damage or data == whole
    if way == "cut":
        assert bool(damage) == (len(data) not in boundaries)


def check(whole, seed):
    rng = random.Random(seed)
    table(4096)  # checksums keep tables of this size once they are needed
    boundaries, offset = {0}, 0
    for payload in split(whole):
        offset += 16 + len(payload)
        boundaries.add(offset)
    contents, damage = read(whole)
    assert not damage
    written = points(contents)
    with watched() if seed % 8 == 0 else nullcontext():
        for _ in range(PER_EXAMPLE):
            check_one(rng, whole, boundaries, written)


@contextmanager
def watched():
    """Follow every allocation of Python and NumPy, which takes three times as long."""
    tracemalloc.start()
    try:
        yield
    finally:
        tracemalloc.stop()


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**64))
def test_two_thousand_broken_files_break_nothing(whole, seed):
    check(whole, seed)


@pytest.mark.long
@pytest.mark.timeout(7200)
@settings(max_examples=4000, deadline=None, database=None)
@given(seed=st.integers(0, 2**64))
def test_two_hundred_thousand_broken_files_break_nothing(whole, seed):
    """Run it with: pytest -m long tests/core/test_reader_fuzz.py."""
    check(whole, seed)
