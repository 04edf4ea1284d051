"""What `multiboard convert` costs: logs of tensorboardX, 100 MB of each kind, in MB of the old file per second.

python benchmarks/convert.py [--rounds 5] [--out results.jsonl] [--scale 0.1]

The messages are those that tensorboardX's functions build, in the files that its record writer writes; only its queue, which
takes 50 us a message, is left out. Scalars come under 10 tags in turn, histograms have 10,000 normal values, images are 64 x 64
pixels of noise. Beside the conversion stands what reading the same file with `mb.read` takes.
"""

import multiprocessing
import shutil
import tempfile
from pathlib import Path

from measure import OURS, Contender, options, race

SIZE = 100_000_000
"""Bytes of each file."""
PATTERN = 2000
"""Histograms and images that are built; they come again at later steps."""


def write(log_dir: str, kind: str, size: int) -> None:
    """Write one event file."""
    import numpy as np
    from tensorboardX import summary
    from tensorboardX.event_file_writer import EventsWriter
    from tensorboardX.proto.event_pb2 import Event

    random = np.random.default_rng(0)
    edges = 1e-12 * 1.1 ** np.arange(774)
    bins = [*-edges[::-1], 0, *edges]
    makers = {
        "scalars": lambda i: summary.scalar(f"train/metric{i % 10}", float(i)),
        "histograms": lambda i: summary.histogram(f"layer{i % 10}/weight", random.normal(i % 7, 1, 10_000), bins),
        "images": lambda _: summary.image("samples", random.integers(0, 255, (3, 64, 64), np.uint8)),
    }
    Path(log_dir).mkdir()
    writer = EventsWriter(f"{log_dir}/events")
    built, written, step = [], 0, 0
    while written < size:
        if kind == "scalars" or step < PATTERN:
            built = [*built[: PATTERN - 1], makers[kind](step)] if kind != "scalars" else [makers[kind](step)]
        event = Event(wall_time=1.7e9 + step / 1000, step=step // 10, summary=built[step % len(built)])
        writer.write_event(event)
        written += event.ByteSize() + 16
        step += 1
    writer.close()


_CONVERT = """
import glob, os
import multiboard.conversion
size = sum(map(os.path.getsize, glob.glob({path!r} + '/*')))
start()
report = multiboard.conversion.convert({path!r}, d + '/new')
run = report.runs['.']
assert not run.damage, run.damage
stop(mb=size / 1e6, values=sum(run.values.values()), new_mb=sum(map(os.path.getsize, glob.glob(d + '/new/*'))) / 1e6)
"""
_READ = """
import multiboard.reader
start()
run = multiboard.reader.read({path!r})['.']
stop(values=sum(len(c) for kind in ('scalars', 'histograms', 'images') for c in getattr(run, kind).values()))
"""

if __name__ == "__main__":
    arguments = options(__doc__)
    root = Path(tempfile.mkdtemp())
    try:
        for kind in ("scalars", "histograms", "images"):
            log_dir = str(root / kind)
            # A process of its own: contenders inherit the largest memory that the one that starts them ever had.
            writer = multiprocessing.get_context("spawn").Process(target=write, args=(log_dir, kind, int(SIZE * arguments.scale)))
            writer.start()
            writer.join()
            of_kind = {OURS: Contender("multiboard", _CONVERT.format(path=log_dir))}
            of_kind["mb.read"] = Contender("multiboard", _READ.format(path=log_dir))
            race(f"convert: {kind}", of_kind, arguments)
    finally:
        shutil.rmtree(root)
