"""How `graph` records what a model does, on any backend.

- `trace`: one call with `trace_jax`, `trace_torch` or `trace_tensorflow`; `log`: when the callback does it.
- `frames`, `inputs`, `weights`: which layer runs, what the model takes, and what belongs to a layer.
- `functions_tensorflow`, `operations_tensorflow`, `timeline_tensorflow`, `flops_tensorflow`: nodes of TensorFlow.
"""
