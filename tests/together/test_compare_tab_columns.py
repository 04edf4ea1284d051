"""Columns of the Compare tab are read when they are asked for, by whoever asks first, and once."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.util import tensor_util

import multiboard as mb
from multiboard_tensorboard import _compat
from multiboard_tensorboard.columns import LazyColumns, read_ahead

TAGS = [f"tag{number}" for number in range(20)]
KNOWN = {tag: ((1, 1.0), f"of {tag}") for tag in TAGS}


class Portions:
    """Reads two columns at a time; which, is kept. May be held up, or fail."""

    def __init__(self, broken=()):
        self.asked, self.broken, self.go = [], set(broken), threading.Event()
        self.go.set()

    def __call__(self, tags):
        assert self.go.wait(30)
        if self.broken.intersection(tags[:2]):
            raise OSError(tags[0])
        self.asked += tags[:2]
        return {tag: mb.Column(np.arange(3), np.zeros(3), np.full(3, TAGS.index(tag)), f"of {tag}") for tag in tags[:2]}


def test_a_description_is_known_without_reading_and_everything_else_is_read():
    portions = Portions()
    columns = LazyColumns(KNOWN, portions)
    assert [column.description for column in columns.values()] == [f"of {tag}" for tag in TAGS]
    assert portions.asked == []
    column = columns["tag7"]
    assert (len(column), column.step.tolist(), column.value.tolist(), len(column.wall_time)) == (3, [0, 1, 2], [7, 7, 7], 3)
    assert portions.asked == ["tag7"]


def test_what_is_read_in_order_is_read_in_portions_and_each_once():
    portions = Portions()
    columns = LazyColumns(KNOWN, portions)
    assert [int(column.value[0]) for column in columns.values()] == list(range(20))
    assert portions.asked == TAGS


def test_several_threads_read_each_column_once():
    portions = Portions()
    columns = LazyColumns(KNOWN, portions)
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda tag: int(columns[tag].value[0]), TAGS * 10))
    assert found == [*range(20)] * 10
    assert sorted(portions.asked) == sorted(TAGS)


def test_who_asks_while_another_reads_waits_for_what_was_asked_only():
    portions = Portions()
    columns = LazyColumns(KNOWN, portions)
    portions.go.clear()
    read_ahead([columns])
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(lambda: int(columns["tag1"].value[0]))
        assert not waiting.done()
        portions.go.set()
        assert waiting.result(30) == 1
    columns.load()
    assert sorted(portions.asked) == sorted(TAGS)


def test_what_cannot_be_read_is_told_to_who_asks_for_it_and_costs_no_other_column():
    columns = LazyColumns(KNOWN, Portions(broken=["tag4"]))
    read_ahead([columns])
    with pytest.raises(OSError, match="tag"):
        columns.load()
    assert int(columns["tag9"].value[0]) == 9


@pytest.mark.parametrize(
    "tensors",
    [
        [tensor_util.make_tensor_proto(np.float32(value)) for value in (1.5, -0.0, np.inf)],
        [TensorProto(dtype=1, float_val=[value]) for value in (1.5, 2.5)],
        [tensor_util.make_tensor_proto(np.float64(value)) for value in (0.1, 0.2)],
        [tensor_util.make_tensor_proto(np.float32(0.1)), tensor_util.make_tensor_proto(np.float64(0.1))],
        [TensorProto(dtype=1, float_val=[1.5]), tensor_util.make_tensor_proto(np.float32(2.5))],
        [tensor_util.make_tensor_proto(np.int64(value)) for value in (7, 2**40)],
        [TensorProto.FromString(b"\x08\x01\x2a\x04" + number) for number in (b"\0\0\x80\x3f", b"\0\0\xa0\x7f")],
        [],
    ],
)
def test_numbers_from_the_bytes_of_messages_are_those_of_each_message(tensors):
    each = [float(tensor_util.make_ndarray(one).item()) for one in tensors]
    np.testing.assert_array_equal(np.array(_compat._numbers(tensors), float), each)
