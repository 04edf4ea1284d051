"""tf.summary without TensorFlow: `import multiboard.summary as summary` in the place of `from tensorflow import summary`.

    import multiboard.summary as summary

    writer = summary.create_file_writer("runs/first")
    with writer.as_default():
        summary.scalar("loss", 0.5, step=1)

What the kinds share: values go to the default writer of the calling thread, under `name` behind the active name scopes
(TensorFlow's `tf.name_scope` counts, if TensorFlow is in use), at `step` or else the default step. They return whether there is a
writer that takes the value; without one, or while `record_if` says no, they return False and look at nothing. A call without any
step is a StepError, which is a ValueError as in TensorFlow. Mistakes raise in the first step of a run and are one warning later.

What differs on purpose: nothing waits for a file, NaN raises nothing, bfloat16 keeps its values, `buckets` has no effect because
the bucket edges are the same for all histograms. `trace_on`, `trace_off` and `trace_export` follow TensorFlow's own functions and
are not here.
"""

from multiboard.summary import experimental
from multiboard.summary.file_writer import SummaryWriter, create_file_writer, create_noop_writer
from multiboard.summary.record import (
    audio,
    flush,
    graph,
    histogram,
    image,
    record_if,
    scalar,
    should_record_summaries,
    text,
    write,
)

__all__ = [
    "SummaryWriter",
    "audio",
    "create_file_writer",
    "create_noop_writer",
    "experimental",
    "flush",
    "graph",
    "histogram",
    "image",
    "record_if",
    "scalar",
    "should_record_summaries",
    "text",
    "write",
]
