"""What `histogram_pass` is for PyTorch, in JAX: one pass over all parameters, from the call until they are in the file.

python benchmarks/jax_pass.py [--rounds 5] [--scale 1] [--out results.jsonl]

Each process makes one pass that is reported apart ('first': it compiles) and several more, whose medians count; each is flushed
before the next. 'counting alone' is the compiled program of ours and the transfer of its result; it and the floor, which reads
all values once (sum), write nothing. 'numpy.histogram' counts in 64 bins and writes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from contenders import LOGGERS, OURS, arrays_in
from histogram_pass import PASSES, check_passes, measure_passes
from measure import Contender, of_logger, options, race
from targets import IN_TREES

if TYPE_CHECKING:
    from collections.abc import Callable

    from histogram_pass import Taking

GROUP = "params"


def tree_of(title: str) -> Any:
    """Return the parameters of a title of `jax_models.LISTS`."""
    import jax_models

    return jax_models.trained(jax_models.LISTS[title]())


def watched(logger: Any, tree: Any) -> Taking:
    """Take a pass with `mbj.watch_params`."""
    import multiboard.jax as mbj

    return lambda step: mbj.watch_params(tree, logger.run, step)


def in_one_call(logger: Any, tree: Any) -> Taking:
    """Take a pass as the documentation of a peer has it."""
    return lambda step: logger.histograms(GROUP, tree, step)


def counted(_logger: Any, tree: Any) -> Taking:
    """Count all values with the program of ours."""
    import jax

    from multiboard_jax.statistics import measure

    program, leaves = jax.jit(measure), jax.tree.leaves(tree)
    return lambda _step: jax.device_get(program(leaves))


def binned(_logger: Any, tree: Any) -> Taking:
    """Count all values with `numpy.histogram`."""
    return lambda _step: [np.histogram(values, 64) for values in arrays_in(GROUP, tree, np.asarray).values()]


def summed(_logger: Any, tree: Any) -> Taking:
    """Read all values."""
    import jax

    program = jax.jit(lambda tree: jax.tree.map(lambda leaf: leaf.sum(), tree))
    return lambda _step: jax.block_until_ready(program(tree))


WAYS: dict[str, tuple[str, Callable[[Any, Any], Taking]]] = {
    OURS: (OURS, watched),
    "counting alone": ("empty call", counted),
    "clu SummaryWriter": ("clu SummaryWriter", in_one_call),
    "clu AsyncWriter": ("clu AsyncWriter", in_one_call),
    "tensorboardX": ("tensorboardX", in_one_call),
    "wandb offline": ("wandb offline", in_one_call),
    "numpy.histogram": ("empty call", binned),
    "floor: sum": ("empty call", summed),
}
"""By contender: the name of its logger, and how it takes a pass."""


def measure(way: str, log_dir: str, title: str, passes: int) -> None:
    """Measure one way to take the distributions of a list."""
    tree = tree_of(title)
    name, prepare = WAYS[way]
    logger = LOGGERS[name].open(log_dir)
    measure_passes(logger, prepare(logger, tree), log_dir, len(arrays_in(GROUP, tree)), passes)


def check(way: str, log_dir: str, title: str, passes: int) -> None:
    """Read all histograms back."""
    parameters = arrays_in(GROUP, tree_of(title), np.asarray)
    check_passes(LOGGERS[WAYS[way][0]].form, log_dir, parameters, passes)


def contenders(title: str, passes: int) -> dict[str, Contender]:
    """Return all ways to take the distributions of a list."""
    found = {}
    for way, (name, _) in WAYS.items():
        call = f"({way!r}, d, {title!r}, {passes})"
        found[way] = of_logger(name, f"import jax_pass; jax_pass.measure{call}", f"jax_pass.check{call}", ("jax", "flax"))
    return found


def main() -> None:
    """Run the races."""
    import jax_models

    arguments = options(__doc__)
    for title in jax_models.LISTS:
        race(f"{IN_TREES}: {title}", contenders(title, max(1, int(PASSES * arguments.scale))), arguments)


if __name__ == "__main__":
    main()
