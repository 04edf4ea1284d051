"""PyTorch adapter of multiboard: distributions and graphs of models, with one line each.

    import multiboard.torch as mbt
    mbt.watch(model, optimizer, run, every=100)

- `attach`: `watch`, the line that a user writes.
- `capture`: the hooks of the optimizers, and what goes into one capture.
- `activations`, `outputs`: the hooks of layers, and what they take in.
- `reads`: captures of loops written by hand.
- `clipping`: gradient clipping that tells what it did.
- `claims`, `selection`, `options`, `spacing`: which watch writes which parameter, which are meant, what of them, and when.
- `layers`: the canonical path and role of every parameter.
- `draft`, `batch`, `buffers`, `norms`, `arrival`: what keeps the values of one step until the writer thread takes them.
- `statistics`: the counts of tensors, in pieces (`packs`); `cpu`: on CPUs; `kernels`: with operators; `cuda`, `count.cu`: with
  one launch for all.
- `distributed`: sums over processes.
- `trainers`: what the adapters of trainers share.
- `optimizers`, `rates`: what is read of an optimizer around its step, and its learning rates.
- `meter`, `loop`: the time of steps, and the loop that takes it; `memory`: what accelerators hold.
- `graph`: records what a model does; `tracing`: how.
- `profile`: PyTorch's profiler for one window of `multiboard.Profiler`, with `profile_layers`, `profile_devices` and
  `profile_export`; `profile_handler`: sessions of traces that a program makes itself; `compiled_graphs`: the layers of what
  `torch.compile` has compiled.
- `threads`: keeps the writer thread on one core.
- `_compat`, `_compat_profiler`, `_compat_inductor`: private names of PyTorch.
"""

from multiboard_torch.attach import watch
from multiboard_torch.capture import Watch
from multiboard_torch.clipping import clip_grad_norm_
from multiboard_torch.graph import graph
from multiboard_torch.loop import Loop, loop
from multiboard_torch.memory import memory_stats
from multiboard_torch.meter import Meter
from multiboard_torch.profile_handler import trace_handler
from multiboard_torch.reads import log_grads, log_params
from multiboard_torch.tracing.recording import Recording

__all__ = [
    "Loop",
    "Meter",
    "Recording",
    "Watch",
    "clip_grad_norm_",
    "graph",
    "log_grads",
    "log_params",
    "loop",
    "memory_stats",
    "trace_handler",
    "watch",
]
