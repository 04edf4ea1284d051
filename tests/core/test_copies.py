"""Memory of copies is used again when nothing refers to it, and only then."""

import threading

import numpy as np
import pytest

from multiboard import copies

ROWS = 100_000


@pytest.fixture(autouse=True)
def nothing_kept():
    copies._kept.clear()
    yield
    copies._kept.clear()


def address(array):
    return array.__array_interface__["data"][0]


def test_a_copy_has_the_values_of_the_array_and_none_of_its_memory():
    array = np.arange(ROWS, dtype=np.float32).reshape(2, -1)
    copied = copies.copy(array)
    assert copied.dtype == array.dtype
    np.testing.assert_array_equal(copied, array)
    assert not np.shares_memory(copied, array)


@pytest.mark.parametrize("hold", [lambda a: a, lambda a: a[3:5], lambda a: a.view(np.int32).reshape(-1, 10), memoryview])
def test_memory_is_not_used_again_while_anything_refers_to_it(hold):
    held = hold(copies.copy(np.full(ROWS, 7, np.float32)))
    before = bytes(held)
    for _ in range(10):
        copies.copy(np.zeros(ROWS, np.float32))
    assert bytes(held) == before


def test_memory_is_used_again_for_another_dtype_of_the_same_size():
    first = address(copies.copy(np.zeros(ROWS, np.float32)))
    assert address(copies.copy(np.zeros((4, ROWS), np.uint8))) == first


def test_memory_of_another_size_makes_room():
    for size in range(copies.SMALLEST, 40 * copies.SMALLEST, 1000):
        copies.copy(np.zeros(size, np.uint8))
    assert len(copies._kept) == 1


def test_no_more_than_the_stated_memory_is_kept():
    held = [copies.copy(np.zeros(2**20, np.uint8)) for _ in range(40)]
    assert sum(memory.nbytes for memory in copies._kept) == copies.KEPT_BYTES
    assert len({address(array) for array in held}) == 40


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((1000, 1000)).T,
        np.ma.masked_array(np.zeros(ROWS), mask=True),
        np.zeros(ROWS)[::2],
        np.array(["text"] * ROWS),
        np.zeros(ROWS, [("a", "i4"), ("b", "f4")]),
        [0.0] * ROWS,
    ],
)
def test_what_is_no_plain_block_of_numbers_is_copied_as_numpy_does(array):
    copied, expected = copies.copy(array), np.array(array)
    assert (type(copied), copied.dtype, copied.strides) == (type(expected), expected.dtype, expected.strides)
    assert not copies._kept


def test_threads_never_share_memory():
    wrong = []

    def work(number):
        mine = np.full(ROWS, number, np.float32)
        for _ in range(300):
            copied = copies.copy(mine)
            if not (copied == number).all():
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
