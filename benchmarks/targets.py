"""What multiboard must reach in the figures of the benchmarks, on the class of machine that docs/benchmarks.md names."""

from __future__ import annotations

from typing import NamedTuple

from contenders import OURS, PEERS_WITH_EVENT_FILES


class Target(NamedTuple):
    """A bound for one figure of multiboard.

    Attributes:
        topic: of the race.
        figure: its name there.
        at_most: an upper bound in the unit of the figure; None if there is only a ratio.
        times_less: at least so many times less than each of `than`; None if there is only an upper bound.
        than: names of peers.
        contender: whose figure it is.
    """

    topic: str
    figure: str
    at_most: float | None = None
    times_less: float | None = None
    than: tuple[str, ...] = ()
    contender: str = OURS


SINGLE = "scalars: single calls"
DICTS = "scalars: dicts of 10, built before"
DICT_LITERAL = "scalars: dicts of 10, dict literal in the loop"
IN_JAX = "device scalars: 10 per step in a jitted JAX loop"
IN_TORCH = "device scalars: 10 per step in a PyTorch loop"
PHOTOGRAPHS = "images: like photographs"
NOISE = "images: noise"
OVER_NUMPY = "start-up: over NumPy"
RESNET = "histograms: ResNet-50, 161 tensors, 25.6M"
GPT = "histograms: GPT-2, 148 tensors, 124M"
SMALL = "histograms: 1000 tensors of 1k"
LOOP = "training loop: small CNN in PyTorch, 10 scalars per step, histograms every 50"
IN_TREES = "histograms in JAX"
JAX_RESNET = f"{IN_TREES}: ResNet-50, 161 tensors, 25.6M"
JAX_CALLS = "wrapped steps in JAX"
JAX_LOOP = "training loop: perceptron in JAX, 10 scalars per step, histograms every 50"
JAX_LOOP_OF_LARGE_BATCHES = "training loop: perceptron in JAX, batches of 352, 10 scalars per step, histograms every 50"
KERAS_FIT = "fit in Keras: perceptron, every batch and histograms"
KERAS_CNN = "fit in Keras: small CNN, every batch and histograms"
KERAS_LARGER_CNN = "fit in Keras: small CNN on larger pictures, every batch and histograms"
KERAS_EVERY_50 = f"{OURS} every 50"

_TORCH = ("torch.utils.tensorboard", "torch.utils.tensorboard + TensorFlow")
_EVENT_FILES = tuple(PEERS_WITH_EVENT_FILES)
_WRITERS = ("torch.utils.tensorboard", "tensorboardX")

TARGETS = (
    Target(SINGLE, "caller_us", at_most=0.5),
    Target(SINGLE, "caller_us", times_less=35, than=_TORCH),
    Target(SINGLE, "total_cpu_us", at_most=1.0),
    Target(SINGLE, "total_cpu_us", times_less=15, than=_EVENT_FILES),
    Target(DICTS, "caller_us", at_most=0.15),
    Target(DICTS, "total_cpu_us", at_most=1.0),
    Target(DICTS, "total_cpu_us", times_less=15, than=_EVENT_FILES),
    Target(DICTS, "bytes", at_most=32),
    Target(IN_JAX, "block_us", at_most=3),
    Target(IN_TORCH, "block_us", at_most=15),
    Target(PHOTOGRAPHS, "caller_us", at_most=20),
    Target(PHOTOGRAPHS, "total_cpu_ms", at_most=1.5),
    Target(NOISE, "caller_us", at_most=20),
    Target(NOISE, "total_cpu_ms", at_most=1.5),
    Target(OVER_NUMPY, "wall_ms", at_most=25),
    Target(OVER_NUMPY, "memory_mb", at_most=5),
    Target(RESNET, "total_cpu_ms", at_most=60),
    Target(RESNET, "total_cpu_ms", times_less=5, than=("wandb offline",)),
    Target(RESNET, "total_cpu_ms", times_less=10, than=_WRITERS),
    Target(RESNET, "caller_ms", at_most=12),
    Target(GPT, "total_cpu_ms", times_less=10, than=_WRITERS),
    Target(SMALL, "total_cpu_ms", times_less=5, than=(*_WRITERS, "wandb offline")),
    Target(LOOP, "all_threads_percent", at_most=2),
    Target(LOOP, "added_main_ms", at_most=0.1),
    Target(JAX_RESNET, "total_cpu_ms", at_most=120),
    Target(JAX_RESNET, "total_cpu_ms", times_less=10, than=("clu SummaryWriter", "clu AsyncWriter", "tensorboardX")),
    Target(JAX_RESNET, "caller_ms", at_most=1),
    *(Target(loop, "all_threads_percent", at_most=2) for loop in (JAX_LOOP, JAX_LOOP_OF_LARGE_BATCHES)),
    *(Target(loop, "added_main_ms", at_most=0.1) for loop in (JAX_LOOP, JAX_LOOP_OF_LARGE_BATCHES)),
    Target(f"{JAX_CALLS}: 2 tensors of 272 values", "over_bare_us", at_most=3, contender="params + grads"),
    Target(f"{JAX_CALLS}: ResNet-50, 161 tensors, 25.6M", "captured_ms", at_most=1, contender="params + grads"),
    *(
        Target(f"{KERAS_FIT} on {backend}", "added_cpu_ms", times_less=10, than=("keras.callbacks.TensorBoard",))
        for backend in ("jax", "tensorflow")
    ),
    *(
        Target(f"{fit} on {backend}", "cpu_percent", at_most=2, contender=KERAS_EVERY_50)
        for fit in (KERAS_CNN, KERAS_LARGER_CNN)
        for backend in ("jax", "tensorflow", "torch")
    ),
    Target("reading: multiboard, dicts of 10", "wall_s", at_most=0.4, contender="mb.read"),
    Target("reading: multiboard, single scalars", "wall_s", at_most=0.4, contender="mb.read"),
    Target("reading: form of tensorboardX and torch", "wall_s", at_most=1.2, contender="mb.read"),
    Target("reading: form of tf.summary", "wall_s", at_most=1.2, contender="mb.read"),
)
