"""clu.metric_writers without clu and TensorFlow: `from multiboard import clu as metric_writers`.

    from multiboard import clu as metric_writers

    writer = metric_writers.create_default_writer("runs/first", just_logging=jax.process_index() > 0)
    with metric_writers.ensure_flushes(writer):
        writer.write_scalars(0, {"loss": 0.5})

What differs on purpose: an error while logging does not end the training, NaN raises nothing, videos are written, the edges of
buckets are the same for all histograms, and nested hyper-parameters are joined with '/', as in all of multiboard.
"""

from multiboard.clu.metric_writer import MetricWriter, create_default_writer, ensure_flushes

__all__ = ["MetricWriter", "create_default_writer", "ensure_flushes"]
