"""What a logger costs before the first number: import and first record on top of NumPy, in fresh processes.

    python benchmarks/startup.py [--rounds 7]

Contenders run in turn, each in a new interpreter that has NumPy imported already; medians are printed, JSON lines go to the file
named by --out. Packages that are not installed are named as missing.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

CONTENDERS = {
    "multiboard (import)": ("multiboard", "import multiboard"),
    "multiboard": ("multiboard", "import multiboard\nrun = multiboard.Run(d)\nrun.log({'x': 1.0}, 0)\nrun.close()"),
    "tensorboardX": ("tensorboardX", "from tensorboardX import SummaryWriter\nw = SummaryWriter(d)\nw.add_scalar('x', 1.0, 0)\nw.close()"),
    "torch.utils.tensorboard": (
        "torch",
        "from torch.utils.tensorboard import SummaryWriter\nw = SummaryWriter(d)\nw.add_scalar('x', 1.0, 0)\nw.close()",
    ),
    "tf.summary": (
        "tensorflow",
        "import tensorflow as tf\nw = tf.summary.create_file_writer(d)\nwith w.as_default():\n    tf.summary.scalar('x', 1.0, 0)\nw.close()",
    ),
}
PROGRAM = """
import json, resource, sys, tempfile, time
import numpy
time.sleep(0.1)  # threads of the linear algebra library spin for a while after the import
d = tempfile.mkdtemp()
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
wall, cpu = time.perf_counter(), time.process_time()
exec(sys.argv[1])
wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory
print(json.dumps({"wall_ms": wall * 1e3, "cpu_ms": cpu * 1e3, "memory_mb": memory / 1024}))
"""


def measure(code: str) -> dict[str, float]:
    """Run one contender in a fresh interpreter; return wall and CPU milliseconds and megabytes."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, code], capture_output=True, text=True, check=True, timeout=120)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Measure all contenders in turn and print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    present = {name: code for name, (module, code) in CONTENDERS.items() if find_spec(module)}
    results: dict[str, list[dict[str, float]]] = {name: [] for name in present}
    for _ in range(arguments.rounds):
        for name, code in present.items():
            results[name].append(measure(code))
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {arguments.rounds} rounds")
    for name in CONTENDERS:
        if name not in present:
            print(f"{name:28} not installed")
            continue
        medians = {key: statistics.median(row[key] for row in results[name]) for key in results[name][0]}
        print(f"{name:28} {medians['wall_ms']:9.1f} ms wall {medians['cpu_ms']:9.1f} ms CPU {medians['memory_mb']:8.1f} MB")
        if arguments.out:
            with arguments.out.open("a") as file:
                file.write(json.dumps({"topic": "startup", "contender": name, **medians}) + "\n")


if __name__ == "__main__":
    main()
