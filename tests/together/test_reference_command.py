"""The commands take a run that computes more exactly, and tell that two runs which agree are wrong alike."""

import json
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from click.testing import CliRunner

import multiboard as mb
from multiboard.cli import main

KERNEL = np.random.default_rng(0).normal(size=(16, 16)).astype(np.float32)


@pytest.fixture
def command(tmp_path):
    """A function that invokes a command with two runs, both wrong alike, and the reference."""
    for name, kernel in (("a", KERNEL * np.float32(1.3)), ("b", KERNEL * np.float32(1.3)), ("double", KERNEL)):
        with mb.Run(tmp_path / name) as run:
            run.histogram("params/first/kernel", kernel, 0, description="`first.kernel` of Dense")
            run.log({"norm/params/first/kernel": float(np.linalg.norm(kernel))}, 0)
    runs = [str(tmp_path / name) for name in "ab"]
    return lambda name, *more: CliRunner().invoke(main, [name, *runs, "--oracle", str(tmp_path / "double"), *more])


def test_the_comparison_tells_it_in_each_of_its_formats(command, tmp_path):
    report = tmp_path / "report.xml"
    result = command("compare", "--json", "--junit", str(report))
    assert result.exit_code == 1
    assert json.loads(result.stdout)["oracle"]["same_wrong"][0]["name"] == "first/kernel"
    cases = ET.parse(report).getroot()  # noqa: S314  # our own file
    assert [case.get("name") for case in cases if case.find("failure") is not None] == ["reference"]
    assert "same wrong" in command("compare").stdout


def test_the_report_tells_it(command, tmp_path):
    result = command("report", "-o", str(tmp_path / "report.html"))
    assert result.exit_code == 0, result.output
    assert "as wrong as the baseline, double shows" in result.stderr
    assert (tmp_path / "report.html").read_text("utf-8").startswith("<!doctype html>")
