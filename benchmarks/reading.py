"""What reading costs: 1,000,000 scalars under 10 tags, every checksum checked, from a file to columns.

python benchmarks/reading.py [--rounds 5] [--out results.jsonl]

Four files: multiboard's dicts of 10 and single scalars, written by multiboard; single scalars in the form that tensorboardX and
torch.utils.tensorboard write (simple_value, tags in turn) and in that of tf.summary (tensor and metadata in every event), whose
bytes are put together here with protobuf, because a million calls of those writers take minutes. Writing is not timed.
"""

import multiprocessing
import shutil
import struct
import tempfile
from pathlib import Path

from measure import Contender, options, race

N, TAGS = 1_000_000, 10
NAMES = [
    "loss",
    "train/accuracy",
    "val/loss",
    "lr",
    "norm/grads",
    "perf/step_ms",
    "norm/params",
    "x",
    "update_ratio/all",
    "val/x",
]


def write_ours(log_dir: Path, dicts: bool) -> None:
    """Write the scalars through a run."""
    import multiboard

    with multiboard.Run(log_dir, facts=False) as run:  # they are no scalars
        for step in range(N // TAGS):
            values = {tag: float(step % 1000) for tag in NAMES}
            if dicts:
                run.log(values, step)
            else:
                for tag, value in values.items():
                    run.scalar(tag, value, step)


def write_foreign(log_dir: Path, tensors: bool) -> None:
    """Write the bytes that other loggers write for the same scalars."""
    from multiboard import proto
    from multiboard.records import frame

    log_dir.mkdir()
    with (log_dir / "events.out.tfevents.1").open("wb") as file:
        file.write(frame(proto.Event(wall_time=1.0, file_version="brain.Event:2").SerializeToString()))
        for i in range(N):
            step, tag = divmod(i, TAGS)
            event = proto.Event(wall_time=1.7e9 + i / 1000, step=step)
            value = event.summary.value.add(tag=NAMES[tag])
            if tensors:
                value.tensor.dtype = 1
                value.tensor.tensor_shape.SetInParent()
                value.tensor.tensor_content = struct.pack("<f", step % 1000)
                value.metadata.plugin_data.plugin_name = "scalars"
                value.metadata.data_class = 1
            else:
                value.simple_value = step % 1000
            file.write(frame(event.SerializeToString()))


FILES = {
    "multiboard, dicts of 10": (write_ours, True),
    "multiboard, single scalars": (write_ours, False),
    "form of tensorboardX and torch": (write_foreign, False),
    "form of tf.summary": (write_foreign, True),
}

_CHECK = f"\nassert count == {N}, count\nstop()"
CODE = {
    "mb.read": (
        "multiboard",
        (
            "import multiboard, multiboard.reader\nstart()\nrun = multiboard.read({path!r})['.']\nassert not run.damage\n"
            "count = sum(len(column.value) for column in run.scalars.values())"
        ),
    ),
    "EventAccumulator": (
        "tensorboard",
        (
            "from tensorboard.backend.event_processing.event_accumulator import EventAccumulator\nstart()\n"
            "reader = EventAccumulator({path!r}, size_guidance=dict(scalars=0, tensors=0)).Reload()\n"
            "scalars = [reader.Scalars(tag) for tag in reader.Tags()['scalars']]\n"
            "tensors = [[(t.wall_time, t.step, t.tensor_proto) for t in reader.Tensors(tag)] "
            "for tag in reader.Tags()['tensors']]\n"
            "count = sum(map(len, scalars + tensors))"
        ),
    ),
    "tbparse": (
        "tbparse",
        "from tbparse import SummaryReader\nstart()\ncount = len(SummaryReader({path!r}, extra_columns={{'wall_time'}}).scalars)",
    ),
    "tf summary_iterator": (
        "tensorflow",
        (
            "import glob\nfrom tensorflow.python.summary.summary_iterator import summary_iterator\nstart()\ncount = 0\n"
            "for event in summary_iterator(glob.glob({path!r} + '/*')[0]):\n    count += len(event.summary.value)"
        ),
    ),
    "floor: a checksum per record": (
        "google_crc32c",
        (
            "import glob, google_crc32c, struct\nstart()\ndata = open(glob.glob({path!r} + '/*')[0], 'rb').read()\n"
            "offset, size, value, unpack, count = 0, len(data), google_crc32c.value, struct.Struct('<Q').unpack_from, {values}\n"
            "while offset < size:\n    end = offset + 12 + unpack(data, offset)[0]\n"
            "    value(data[offset : offset + 8])\n    value(data[offset + 12 : end])\n    offset = end + 4"
        ),
    ),
}
"""By name: the package, and the code up to the check. summary_iterator returns events whose tensors are not decoded."""


def contenders(log_dir: Path) -> dict[str, Contender]:
    """Return all readers of one directory."""
    return {name: Contender(package, code.format(path=str(log_dir), values=N) + _CHECK) for name, (package, code) in CODE.items()}


if __name__ == "__main__":
    arguments = options(__doc__)
    root = Path(tempfile.mkdtemp())
    try:
        for number, (form, (write, argument)) in enumerate(FILES.items()):
            log_dir = root / str(number)
            # A process of its own: contenders inherit the largest memory that the one that starts them ever had.
            writer = multiprocessing.get_context("spawn").Process(target=write, args=(log_dir, argument))
            writer.start()
            writer.join()
            race(f"reading: {form}", contenders(log_dir), arguments)
    finally:
        shutil.rmtree(root)
