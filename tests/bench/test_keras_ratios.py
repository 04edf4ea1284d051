"""What logging a Keras fit costs as a fraction of what Keras' own callback costs, with slack for a machine that is shared."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "keras_fit.py"
OURS, ORIGINAL = "multiboard", "keras.callbacks.TensorBoard"


def test_a_fit_with_every_batch_and_histograms_costs_a_third_and_the_training_thread_a_fifth_of_what_the_original_does(tmp_path):
    out, topic = tmp_path / "results.jsonl", "fit in Keras: perceptron, every batch and histograms on tensorflow"
    command = [sys.executable, str(BENCHMARK), "--rounds", "1", "--topic", topic, "--scale", "0.2"]
    subprocess.run([*command, "--only", f"{OURS},{ORIGINAL}", "--out", str(out)], check=True, timeout=280)
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert not [line["left_out"] for line in lines if "left_out" in line]
    medians = {line["contender"]: line for line in lines if line.get("median")}
    assert medians[OURS]["verified"] == medians[ORIGINAL]["verified"] == "TensorBoard"
    assert medians[ORIGINAL]["added_cpu_ms"] >= 3 * medians[OURS]["added_cpu_ms"]
    assert medians[ORIGINAL]["added_main_ms"] >= 5 * medians[OURS]["added_main_ms"]
