"""How `graph` records what a model or a training step does.

- `programs`, `objects`, `arguments`: turn models, steps and functions into programs of arrays, and find the parameters.
- `layers`, `parts`, `calls`, `frames`: know where an operation was called.
- `walk`, `bodies`, `values`, `ends`, `flops`: make the nodes.
"""
