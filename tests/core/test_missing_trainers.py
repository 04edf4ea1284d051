"""The facades of trainers and of other libraries say how to install what is missing."""

import subprocess
import sys

import pytest

BLOCKED = {
    "lightning": ("lightning", "pytorch_lightning"),
    "transformers": ("transformers",),
    "accelerate": ("accelerate",),
    "optuna": ("optuna",),
    "stable_baselines3": ("stable_baselines3",),
    "tensorboardx": ("tensorboardX",),
}


@pytest.mark.parametrize("facade", BLOCKED)
def test_a_missing_framework_is_an_install_hint(facade):
    program = f"""
import sys
sys.modules.update(dict.fromkeys({BLOCKED[facade]!r}))
try:
    import multiboard.{facade}
except ImportError as error:
    print(type(error).__name__, error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.startswith(f"MissingFrameworkError multiboard.{facade} needs ")
    assert done.stdout.endswith(f"pip install 'multiboard[{facade.replace('_', '-')}]'\n")


@pytest.mark.parametrize("missing", ["torch", "tensorboard"])
def test_the_writer_of_torch_needs_two_packages(missing):
    program = f"""
import sys
sys.modules[{missing!r}] = None
try:
    import multiboard.torch_tensorboard
except ImportError as error:
    print(type(error).__name__, error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == (
        "MissingFrameworkError multiboard.torch_tensorboard needs PyTorch and tensorboard: "
        "pip install 'multiboard[torch,tensorboard]'\n"
    )
