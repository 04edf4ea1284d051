"""Checksums of many records at once are those of google_crc32c, also if many threads ask for the first ones."""

import sys
import threading

import google_crc32c
import numpy as np
import pytest

from multiboard import checksums
from multiboard.encode import Encoder
from multiboard.records import frame
from multiboard.scalar_events import fill_table
from multiboard.values import Scalars

THREADS, FARTHEST, ATTEMPTS = 8, 300, 20


@pytest.fixture
def impatient():
    """Threads that take turns as often as can be."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def expected(distance):
    zero = google_crc32c.value(bytes(distance + 1))
    return google_crc32c.value(bytes([1]) + bytes(distance)) ^ zero


@pytest.mark.usefixtures("impatient")
def test_threads_that_ask_for_tables_at_once_get_the_right_ones(monkeypatch):
    def ask(together):
        together.wait()
        for distance in range(FARTHEST):
            checksums.table(distance)

    for _ in range(ATTEMPTS):
        monkeypatch.setattr(checksums, "_tables", type(checksums._tables)())
        together = threading.Barrier(THREADS)
        threads = [threading.Thread(target=ask, args=(together,)) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [int(checksums.table(distance)[1]) for distance in range(FARTHEST)] == list(map(expected, range(FARTHEST)))


def test_bytes_that_differ_change_the_checksum_by_what_they_contribute():
    numbers = np.random.default_rng(0).integers(0, 256, (50, 7), np.uint8)
    base = google_crc32c.value(bytes(20))
    found = checksums.contributions([(numbers, 4)], len(numbers)) ^ np.uint32(base)
    assert found.tolist() == [google_crc32c.value(bytes(9) + row.tobytes() + bytes(4)) for row in numbers]


@pytest.mark.parametrize("rows", [8, 110, 1000])
@pytest.mark.parametrize("tags", [1, 5, 6, 300])
def test_records_of_a_table_have_the_checksums_of_records_one_by_one(tags, rows):
    encoder, names = Encoder(), tuple(f"tag {number}" for number in range(tags))
    encoder.scalars(Scalars(names, (0.0,) * tags, 0, 0.0))  # tells TensorBoard of the tags
    template = encoder.described_template(names)
    calls = [(dict.fromkeys(names, row / 3), None, row + 200, 1e9 + row) for row in range(rows)]
    framed = fill_table(template, calls)
    size = len(framed) // rows
    assert framed == b"".join(frame(framed[start + 12 : start + size - 4]) for start in range(0, len(framed), size))
