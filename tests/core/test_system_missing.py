"""System metrics that cannot be had are an error at once, with what to do, and leave no open run behind."""

import sys

import pytest

import multiboard as mb


@pytest.mark.parametrize("wrong", [-1, 0.01, float("nan"), float("inf"), "often", 1e9])
def test_an_interval_is_a_number_of_seconds(wrong, log_dir):
    with pytest.raises(mb.ArgumentError, match=r"system.*0\.1 to 86400"):
        mb.Run(log_dir, system=wrong)


def test_without_psutil_the_error_names_the_command(log_dir, monkeypatch):
    monkeypatch.setitem(sys.modules, "psutil", None)
    with pytest.raises(mb.MissingFrameworkError, match=r"psutil: pip install 'multiboard\[system\]'"):
        mb.Run(log_dir, system=True)
    with mb.Run(log_dir, resume="add") as run:  # nobody else writes there any more
        run.log({"x": 1.0}, 0)


def test_a_run_without_system_metrics_imports_nothing_of_them(log_dir, run_python):
    log = "import sys\nimport multiboard as mb\nwith mb.Run(sys.argv[1]) as run: run.log({'x': 1.0}, 0)\n"
    code = f"{log}print('multiboard.system' in sys.modules)"
    assert run_python(code, log_dir).stdout == "False\n"
