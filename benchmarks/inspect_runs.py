"""What `multiboard inspect` takes for a directory of many runs, from the start of the command to its last line.

python benchmarks/inspect_runs.py [--runs 1000] [--rounds 3]

Each run has 5 scalars at 200 steps and 3 histograms at 20 of them: about 145 kB. `multiboard.read` of the same directory, which
takes the values as well, stands beside it; both are programs of their own.
"""

import argparse
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import multiboard

COMMANDS = {
    "multiboard inspect": ["-m", "multiboard.cli", "inspect"],
    "multiboard.read": ["-c", "import multiboard, sys; print(len(multiboard.read(sys.argv[1])))"],
}


def build(directory: Path, runs: int) -> int:
    """Write one run, and copy its bytes to the others; return the bytes of all."""
    random = np.random.default_rng(0)
    with multiboard.Run(directory / "run-0000", config={"lr": 1e-3}) as run:
        for step in range(200):
            run.log({f"train/metric-{i}": float(random.normal()) for i in range(5)}, step)
            if step % 10 == 0:
                for layer in range(3):
                    run.histogram(f"params/layer-{layer}/kernel", random.normal(size=4000), step)
    (file,) = (directory / "run-0000").iterdir()
    for number in range(1, runs):
        copy = directory / f"run-{number:04d}"
        copy.mkdir()
        shutil.copyfile(file, copy / file.name)
    return file.stat().st_size * runs


def cpu_seconds() -> float:
    """Return what all programs that have ended took of the processor."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Run both commands in turn and print the medians."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        size = build(Path(directory), given.runs)
        seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
        cpu: dict[str, list[float]] = {name: [] for name in COMMANDS}
        for _ in range(given.rounds):
            for name, command in COMMANDS.items():
                begin, used = time.perf_counter(), cpu_seconds()
                subprocess.run([sys.executable, *command, directory], stdout=subprocess.DEVNULL, check=True)
                seconds[name].append(time.perf_counter() - begin)
                cpu[name].append(cpu_seconds() - used)
    print(f"{given.runs} runs, {size / 1e6:.0f} MB")
    for name, taken in seconds.items():
        each = ", ".join(f"{one:.2f}" for one in taken)
        print(f"{name}: median {statistics.median(taken):.2f} s of {each}; CPU {statistics.median(cpu[name]):.2f} s")


if __name__ == "__main__":
    main()
