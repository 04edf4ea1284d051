"""The example profiles three trainings, each in a way of its own, and prints what the table says."""

import subprocess
import sys
from pathlib import Path

import multiboard as mb

EXAMPLE = Path(__file__).parents[2] / "examples" / "profile_a_loop.py"


def test_each_way_leaves_a_session_and_the_numbers_beside_the_curves(tmp_path):
    command = [sys.executable, "-W", "error::UserWarning", str(EXAMPLE), "--log-dir", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    assert "`backward/2`" in done.stdout
    for way in ("watched", "by_hand", "own_profiler"):
        assert len(list(tmp_path.glob(f"{way}/plugins/profile/step_000020/*.xplane.pb"))) == 1, way
    for way in ("watched", "by_hand"):
        scalars = mb.read(tmp_path / way)["."].scalars
        assert scalars["profile/step_ms"].step.tolist() == [20]
        assert 0 < scalars["profile/input_pct"].value[0] < 100
