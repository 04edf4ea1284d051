"""Fixtures that all frameworks share: the same bucket cases for every device kernel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from multiboard.buckets import Statistics, measure

DTYPES = ["float32", "bfloat16", "float16", "float64", "int32", "bool"]


@dataclass(frozen=True)
class BucketCase:
    """Values that a device kernel must count exactly as `measure` does.

    Attributes:
        dtype: name of the dtype on the device.
        array: the values; for bfloat16 their bit patterns as uint16, since NumPy has no such dtype.
    """

    dtype: str
    array: np.ndarray

    @property
    def widened(self) -> np.ndarray:
        """The values in a dtype that NumPy has."""
        if self.dtype != "bfloat16":
            return self.array
        return (self.array.astype(np.uint32) << 16).view(np.float32)

    @property
    def expected(self) -> Statistics:
        return measure(self.widened)


def cast(values: np.ndarray, dtype: str) -> BucketCase:
    """Return float64 values as a case of a dtype; what the dtype cannot hold wraps or overflows as a cast does."""
    with np.errstate(all="ignore"):
        if dtype == "bfloat16":
            return BucketCase(dtype, (values.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16))
        if dtype in {"int32", "bool"}:
            values = np.nan_to_num(values, nan=0, posinf=2**31 - 1, neginf=-(2**31)).clip(-(2**31), 2**31 - 1)
        return BucketCase(dtype, values.astype(dtype))


def contents() -> dict[str, np.ndarray]:
    """Values that have broken histograms somewhere, by name."""
    rng = np.random.default_rng(0)
    edges = np.ldexp(1 + np.arange(8) / 8, rng.integers(-45, 30, (40, 1))).reshape(-1)
    special = [
        0.0,
        -0.0,
        np.nan,
        -np.nan,
        np.inf,
        -np.inf,
        1e-40,
        -1e-40,
        2.0**-149,
        2.0**-126,
        -(2.0**-127),
        3.4e38,
        -3.4e38,
    ]
    return {
        "empty": np.zeros(0),
        "one": np.array([1.5]),
        "zeros": np.array([0.0, -0.0, 0.0]),
        "specials": np.array(special * 3 + [65504.0, 65536.0, 6e-8, 1e300, -1e300, 1e-300, 2.0**24, 2.0**23 * 1.875, 2.0**-40]),
        "edges": np.concatenate([edges, -edges, np.nextafter(edges, 0), np.nextafter(-edges, -np.inf)]),
        "normal": rng.normal(size=(37, 41, 5)).reshape(-1),
        "heavy tails": rng.standard_t(2, size=200_003) * 10.0 ** rng.integers(-30, 30, 200_003),
        "all NaN": np.full(100, np.nan),
        "integers": rng.integers(-(2**31), 2**31, 5000).astype(np.float64),
    }


@pytest.fixture(params=DTYPES)
def bucket_dtype(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=list(contents()))
def bucket_case(request: pytest.FixtureRequest, bucket_dtype: str) -> BucketCase:
    """One content in one dtype."""
    return cast(contents()[request.param], bucket_dtype)


@pytest.fixture
def cast_case():
    """The function `cast(values, dtype) -> BucketCase`, for property tests."""
    return cast


@pytest.fixture(scope="session")
def ten_million() -> BucketCase:
    return cast(np.random.default_rng(1).standard_t(3, size=10_000_000), "float32")
