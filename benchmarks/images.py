"""What a picture costs: 64 of 256 x 256 x 3 uint8, one per call, like photographs and pure noise.

python benchmarks/images.py [--rounds 5] [--out results.jsonl]

The figures are per picture. All contenders write PNG without loss; Pillow alone is the floor that people quote.
"""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING

import numpy as np
from clocks import bytes_in, lap, report, start, total
from contenders import LOGGERS
from measure import of_logger, options, race
from readback import check_images
from targets import NOISE, PHOTOGRAPHS

if TYPE_CHECKING:
    import numpy.typing as npt
    from measure import Contender

SIZE = 256
WARM_UP = 64
"""Pictures before the clock starts: first calls import and compile, and memory is touched for the first time."""


def pictures(kind: str, n: int) -> npt.NDArray[np.uint8]:
    """Return uint8 `[WARM_UP + n, 256, 256, 3]`: 'photo' is smooth with the noise of a sensor, 'noise' is noise."""
    rng = np.random.default_rng(0)
    shape = (WARM_UP + n, SIZE, SIZE, 3)
    if kind == "noise":
        return rng.integers(0, 256, shape, np.uint8)
    y, x = np.mgrid[0:SIZE, 0:SIZE] / SIZE
    found = np.empty(shape, np.uint8)
    for picture in found:
        waves = [np.sin(a * x + b * y + c) for a, b, c in rng.uniform(-6, 6, (3, 3))]
        smooth = 128 + 80 * np.stack(waves, axis=-1)
        picture[:] = np.clip(smooth + rng.normal(0, 3, smooth.shape), 0, 255)
    return found


def log(name: str, log_dir: str, kind: str, n: int) -> None:
    """Measure one picture per call."""
    logger = LOGGERS[name].open(log_dir)
    image = logger.image
    logged = list(enumerate(pictures(kind, n)))
    for step, pixels in logged[:WARM_UP]:
        image("val/picture", pixels, step)
    time.sleep(1)
    gc.collect()
    start()
    for step, pixels in logged[WARM_UP:]:
        image("val/picture", pixels, step)
    passed = lap()
    logger.close()
    whole = total()
    report(
        caller_us=passed["wall_s"] / n * 1e6,
        caller_cpu_us=passed["caller_cpu_s"] / n * 1e6,
        total_cpu_ms=whole["cpu_s"] / n * 1e3,
        kb=bytes_in(log_dir) / (n + WARM_UP) / 1e3,
        memory_mb=whole["memory_mb"],
    )


def check(name: str, log_dir: str, kind: str, n: int) -> None:
    """Read all pictures back."""
    report(verified=check_images(LOGGERS[name].form, log_dir, pictures(kind, n)))


def contenders(kind: str, n: int) -> dict[str, Contender]:
    """Return the loggers that have pictures."""
    call = f"({{name!r}}, d, {kind!r}, {n})"
    names = [name for name, logger in LOGGERS.items() if logger.form not in {"csv", "trackio", ""}]
    return {name: of_logger(name, f"import images; images.log{call}", f"images.check{call}", ("PIL",)) for name in names}


def main() -> None:
    """Run the races."""
    arguments = options(__doc__)
    n = max(1, int(64 * arguments.scale))
    race(PHOTOGRAPHS, contenders("photo", n), arguments)
    race(NOISE, contenders("noise", n), arguments)


if __name__ == "__main__":
    main()
