"""What a logger costs before the first number: import, opening and first record, on top of what the program has loaded anyway.

python benchmarks/startup.py [--rounds 5] [--out results.jsonl]

The figures are taken when the record is in the file (or, for loggers without a flush, when they are closed); 'closed' is the wall
time with closing, which in multiboard includes asking git and the frameworks for the run facts.
"""

from __future__ import annotations

from contenders import DROP_IN, LOGGERS, OURS
from measure import Contender, of_logger, options, race
from targets import OVER_NUMPY

CODE = """
{loaded}
import contenders
start()
logger = contenders.LOGGERS[{{name!r}}].open(d)
logger.scalar("x", 1.0, 0)
import clocks
if {{name!r}} not in {no_flush!r}:
    logger.flush()
    whole = clocks.total()
    logger.close()
else:
    logger.close()
    whole = clocks.total()
closed = clocks.lap()["wall_s"] * 1e3
clocks.report(wall_ms=whole["wall_s"] * 1e3, cpu_ms=whole["cpu_s"] * 1e3, memory_mb=whole["memory_mb"], closed_ms=closed)
"""
NO_FLUSH = ("wandb offline", "trackio")
IMPORT_ALONE = """
import clocks
start()
import multiboard
whole = clocks.total()
clocks.report(
    wall_ms=whole["wall_s"] * 1e3, cpu_ms=whole["cpu_s"] * 1e3, memory_mb=whole["memory_mb"], closed_ms=whole["wall_s"] * 1e3
)
"""
CHECK = """
import readback
clocks.report(verified=readback.check_scalars(contenders.LOGGERS[{name!r}].form, d, {{"x": numpy.ones(1)}}))
"""
OVER_TORCH = (OURS, DROP_IN, "torch.utils.tensorboard", "torch.utils.tensorboard + TensorFlow", "tensorboardX")
OVER_JAX = (OURS, "clu SummaryWriter", "clu AsyncWriter")


def contenders(names: tuple[str, ...], loaded: str = "") -> dict[str, Contender]:
    """Return loggers that start in an interpreter that has NumPy and the given module loaded."""
    code = CODE.format(loaded=f"import {loaded}" if loaded else "", no_flush=NO_FLUSH)
    return {name: of_logger(name, code, CHECK, needs=(loaded,) if loaded else ()) for name in names}


def main() -> None:
    """Run the races."""
    arguments = options(__doc__)
    everybody = tuple(name for name, logger in LOGGERS.items() if logger.form != "png")
    alone = {"multiboard, import alone": Contender("multiboard", IMPORT_ALONE)}
    race(OVER_NUMPY, contenders(everybody) | alone, arguments)
    race("start-up: over torch", contenders(OVER_TORCH, "torch"), arguments)
    race("start-up: over jax", contenders(OVER_JAX, "jax"), arguments)


if __name__ == "__main__":
    main()
