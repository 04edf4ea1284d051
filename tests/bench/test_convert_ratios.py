"""What converting a log costs beside reading it, with slack for a machine that is shared."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "convert.py"
KINDS = ["scalars", "histograms", "images"]


@pytest.fixture(scope="module")
def medians(tmp_path_factory):
    """Medians by topic and contender of files of 3 MB."""
    out = tmp_path_factory.mktemp("race") / "results.jsonl"
    command = [sys.executable, str(BENCHMARK), "--rounds", "2", "--scale", "0.03", "--out", str(out)]
    subprocess.run(command, check=True, timeout=250)
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    return {(line["topic"].removeprefix("convert: "), line["contender"]): line for line in lines if line.get("median")}


@pytest.mark.parametrize("kind", KINDS)
def test_converting_costs_a_few_times_what_reading_does(medians, kind):
    assert medians[kind, "multiboard"]["cpu_s"] < 6 * medians[kind, "mb.read"]["cpu_s"]


@pytest.mark.parametrize("kind", KINDS)
def test_converted_files_are_hardly_larger_than_the_old_ones(medians, kind):
    assert medians[kind, "multiboard"]["new_mb"] < 1.15 * medians[kind, "multiboard"]["mb"]
    assert medians[kind, "multiboard"]["values"] == medians[kind, "mb.read"]["values"]
