"""PyTorch adapter of multiboard: distributions of parameters and gradients from a training loop, with one line.

    import multiboard.torch as mbt
    mbt.watch(model, optimizer, run, every=100)

- `capture`: the hooks of the optimizer, and what goes into one capture.
- `claims`: which watch writes which parameter, if a run has several.
- `layers`: the canonical path and role of every parameter.
- `batch`: what keeps the values of one step until the writer thread takes them.
- `statistics`: the counting kernels, for the host and for devices.
- `rates`: the learning rates of an optimizer.
- `threads`: keeps the writer thread on one core.
"""

from multiboard_torch.capture import Watch, watch

__all__ = ["Watch", "watch"]
