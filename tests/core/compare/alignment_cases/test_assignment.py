"""The assignment problem."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from multiboard.compare.assignment import assign

SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, max_side=5)


@given(hnp.arrays(np.float64, SHAPES, elements=st.integers(-3, 3)))
@settings(max_examples=100, deadline=None)
def test_no_other_assignment_costs_less(cost):
    table = cost if cost.shape[0] <= cost.shape[1] else cost.T
    rows, columns = table.shape
    least = min(sum(table[i, j] for i, j in enumerate(chosen)) for chosen in itertools.permutations(range(columns), rows))
    assert sum(cost[i, j] for i, j in assign(cost)) == least


@given(hnp.arrays(np.float64, SHAPES, elements=st.integers(-3, 3)))
@settings(max_examples=50, deadline=None)
def test_nothing_is_assigned_twice(cost):
    rows, columns = zip(*assign(cost), strict=True)
    assert len(set(rows)) == len(set(columns)) == min(cost.shape)


def test_an_empty_table_assigns_nothing():
    assert assign(np.zeros((0, 3))) == []
