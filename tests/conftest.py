"""Fixtures that all frameworks share: bucket cases for every device kernel, and runs of examples that are killed and resumed."""

from __future__ import annotations

import importlib.util
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pytest

import multiboard as mb
from multiboard.buckets import Statistics, measure
from multiboard.clean_copy import repair

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import ModuleType

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


@dataclass(frozen=True)
class Transformer:
    """An example that trains a transformer and goes on after a kill, as a program of its own.

    Attributes:
        script: its file in `examples`.
        options: for a small model and a quick pace.
        seconds: that a run may take.
        environment: of its processes, None for the one here.
        captured: histograms of it, one of each group.
    """

    captured: ClassVar = (
        "params/tokens/embedding",
        "grads/blocks/0/mlp/up/kernel",
        "updates/norm/scale",
        "activations/blocks/0/attention",
    )
    script: str
    options: str
    seconds: int
    environment: Mapping[str, str] | None = None

    def command(self, log_dir: Path, arguments: str) -> list[str]:
        path = Path(__file__).parents[1] / "examples" / self.script
        return [sys.executable, str(path), "--log-dir", str(log_dir), *f"{self.options} {arguments}".split()]

    def run(self, log_dir: Path, arguments: str) -> subprocess.CompletedProcess[str]:
        command = self.command(log_dir, arguments)
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=self.seconds, check=False)

    def train(self, log_dir: Path, arguments: str) -> str:
        """Run the example to its end and return what it prints."""
        done = self.run(log_dir, arguments)
        assert done.returncode == 0, done.stderr
        assert not done.stderr
        return done.stdout

    def train_until_killed(self, log_dir: Path, is_time: Callable[[], bool], arguments: str) -> None:
        """Start the example and kill it as soon as `is_time()`."""
        output = log_dir.with_suffix(".output")
        with output.open("w") as opened:
            process = subprocess.Popen(self.command(log_dir, arguments), env=self.environment, stdout=opened, stderr=opened)
        try:
            until = time.monotonic() + self.seconds
            while not is_time():
                assert process.poll() is None, output.read_text()
                assert time.monotonic() < until, output.read_text()
                time.sleep(0.005)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()

    def kill_between_checkpoints(self, log_dir: Path) -> None:
        """Kill it behind step 29, of which it writes an endless sample; the checkpoint knows the steps up to 19."""
        self.train_until_killed(log_dir, lambda: 29 in self.logged_steps(log_dir), "--steps 60 --sample-length 10000000")

    @staticmethod
    def logged_steps(log_dir: Path) -> list[int]:
        runs = mb.read(log_dir) if any(log_dir.rglob("*tfevents*")) else {}
        return runs["."].scalars["train/loss"].step.tolist() if "." in runs and "train/loss" in runs["."].scalars else []

    @staticmethod
    def read_as_drawn(log_dir: Path) -> mb.RunData:
        """Read a run without the points that were written again later, which TensorBoard does not draw."""
        copy = repair(log_dir, log_dir.with_name("drawn")).runs["."].copy
        drawn = mb.read(copy.parent if copy else log_dir)["."]
        if copy:
            shutil.rmtree(copy.parent)
        return drawn

    def assert_learned(self, log_dir: Path) -> mb.RunData:
        """Check what every such example writes in 60 steps, and return it."""
        data = mb.read(log_dir)["."]
        loss = data.scalars["train/loss"]
        assert loss.step.tolist() == list(range(60))
        assert loss.value[-10:].mean() < loss.value[:10].mean() - 1
        np.testing.assert_allclose(data.scalars["train/perplexity"].value, np.exp(loss.value), rtol=1e-5)
        assert data.scalars["val/loss"].step.tolist() == [29, 59]
        assert data.scalars["val/loss"].value[-1] < data.scalars["val/loss"].value[0]
        every_fifth = list(range(0, 60, 5))
        for tag in self.captured:
            assert data.histograms[tag].step.tolist() == every_fifth, tag
        assert data.scalars["train/learning_rate"].step.tolist() == every_fifth
        return data

    def assert_samples_go_on(self, log_dir: Path) -> None:
        samples = mb.read(log_dir)["."].texts["val/sample"]
        prompt = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))[9].read_bytes()[:16].decode()
        text = [re.sub("^    ", "", value, flags=re.MULTILINE) for value in samples.value]
        assert all(one.startswith(prompt) and len(one) > len(prompt) for one in text)
        assert text[0] != text[1]

    def assert_refuses_to_overwrite(self, log_dir: Path, checkpoint: str) -> None:
        before = (log_dir / checkpoint).read_bytes()
        refused = self.run(log_dir, "--steps 60")
        assert refused.returncode == 1
        assert "pass --resume" in refused.stderr
        assert (log_dir / checkpoint).read_bytes() == before

    def assert_same_scalars(self, whole: Path, resumed: Path) -> None:
        expected, found = (
            {tag: line for tag, line in self.read_as_drawn(log_dir).scalars.items() if not tag.startswith(OF_THE_MACHINE)}
            for log_dir in (whole, resumed)
        )
        assert set(found) == set(expected)
        for tag, line in expected.items():
            assert found[tag].step.tolist() == line.step.tolist(), tag
            np.testing.assert_array_equal(found[tag].value, line.value, tag)

    def assert_same_histograms_and_samples(self, whole: Path, resumed: Path) -> None:
        expected, found = self.read_as_drawn(whole), self.read_as_drawn(resumed)
        assert set(found.histograms) == set(expected.histograms)
        for tag, histogram in expected.histograms.items():
            assert found.histograms[tag].step.tolist() == histogram.step.tolist(), tag
            for ours, theirs in zip(found.histograms[tag].value, histogram.value, strict=True):
                np.testing.assert_array_equal(ours, theirs, tag)
        assert found.texts["val/sample"].step.tolist() == [29, 59]
        assert list(found.texts["val/sample"].value) == list(expected.texts["val/sample"].value)

    def assert_no_line_goes_back(self, log_dir: Path) -> None:
        lines = self.read_as_drawn(log_dir).scalars
        assert lines["perf/step_ms"].step[-1] == 59
        for tag, line in lines.items():
            assert (np.diff(line.step) > 0).all(), tag


OF_THE_MACHINE = ("perf/", "system/", "multiboard/")
"""Beginnings of the tags whose values no two runs share."""


@pytest.fixture(scope="session")
def transformer() -> type[Transformer]:
    """A class: an example that trains a transformer, with what must hold for it in every framework."""
    return Transformer


@pytest.fixture(scope="session")
def kineto_traces() -> ModuleType:
    """Traces of torch.profiler by hand, which tests with and without XProf convert."""
    path = Path(__file__).parent / "core" / "profiles" / "kineto_traces.py"
    spec = importlib.util.spec_from_file_location("kineto_traces", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
