"""FLOPs of the operations that count: matrix products and convolutions, two for every multiply-add; all else is free.

The same formulas for every framework, so that their totals can be compared. What XLA or a profiler counts is more: it includes
elementwise work.
"""

from __future__ import annotations


def dot(batch: int, m: int, k: int, n: int) -> int:
    """Return the FLOPs of `batch` products of an `[m, k]` with a `[k, n]` matrix.

    >>> dot(1, 2, 3, 4)
    48
    """
    return 2 * batch * m * k * n


def convolution(positions: int, window: int, inputs: int, outputs: int) -> int:
    """Return the FLOPs of a convolution of any rank; zeros that pad or dilate are multiplied too.

    Args:
        positions: at which the kernel is applied: examples times places of the output. Of a transposed convolution, times
            places of the input: the kernel is spread out from there.
        window: places of the kernel, 9 for 3 times 3.
        inputs: channels that one group of it reads.
        outputs: channels of the output, of all groups.

    >>> convolution(positions=2 * 8 * 8, window=9, inputs=3, outputs=16)
    110592
    """
    return 2 * positions * window * inputs * outputs


def attention(batch: int, queries: int, keys: int, size: int, value_size: int | None = None) -> int:
    """Return the FLOPs of scaled dot-product attention: queries times keys, and weights times values.

    Args:
        batch: examples times heads.
        queries: length of the sequence that asks.
        keys: length of the sequence that is asked; a mask saves nothing.
        size: of one head.
        value_size: of the values of one head; None if it is that of the keys.

    >>> attention(batch=1, queries=4, keys=4, size=8)
    512
    """
    return dot(batch, queries, size, keys) + dot(batch, queries, keys, size if value_size is None else value_size)


def recurrent(rows: int, inputs: int, hidden: int, gates: int, projected: int = 0) -> int:
    """Return the FLOPs of one direction of one recurrent layer: its gates are one product with the input and one with the state.

    Args:
        rows: examples times time steps.
        inputs: size of the input.
        hidden: size of the state.
        gates: 4 of an LSTM, 3 of a GRU, 1 of a plain cell.
        projected: size to which the state is projected after every step; 0 if it is not.

    >>> recurrent(rows=6, inputs=5, hidden=7, gates=4)
    4032
    """
    state = projected or hidden
    return dot(1, rows, inputs + state, gates * hidden) + dot(1, rows, hidden, projected)
