"""What to do about a mistake, by the framework in which it may be; '' stands for all others."""

from __future__ import annotations

from typing import Final

FIXES: Final[dict[str, dict[str, str]]] = {
    "shuffle": {
        "torch": "Draw indices with a generator of your own, or set shuffle=False in the DataLoader while you compare.",
        "keras": "Pass shuffle=False to fit while you compare.",
        "": "Draw the batches from one list of indices in both programs while you compare.",
    },
    "epsilon of a norm": {
        "torch": "nn.LayerNorm and nn.BatchNorm take it as eps, 1e-5 if none is given.",
        "jax": "Flax takes it as epsilon; its norms have 1e-6 if none is given, and its batch norm 1e-5.",
        "keras": "Keras takes it as epsilon; its norms have 1e-3 if none is given.",
    },
    "gelu": {
        "torch": "nn.GELU and F.gelu take approximate='none' or 'tanh'; without, GELU is exact.",
        "jax": "jax.nn.gelu and nnx.gelu take approximate=True or False; without, GELU is approximated.",
        "keras": "keras.activations.gelu takes approximate=True or False; without, GELU is exact.",
    },
    "transposed": {
        "torch": "nn.Linear has [out, in]: transpose kernels of Flax and Keras.",
        "": "Dense kernels are [in, out] here: transpose the weight of an nn.Linear, which is [out, in].",
    },
    "flatten": {
        "torch": "x.permute(0, 2, 3, 1).flatten(1) flattens as Flax and Keras do.",
        "": "PyTorch flattens channels first: transpose to that before you flatten, or permute the rows of the kernel.",
    },
    "padding": {
        "torch": "SAME with stride 2 pads one more row and column behind: F.pad(x, (0, 1, 0, 1)) and padding=0 do that.",
        "jax": "PyTorch's padding=1 is on both sides: give padding=((1, 1), (1, 1)), not SAME.",
        "keras": "PyTorch's padding=1 is on both sides: put a ZeroPadding2D(1) before a 'valid' convolution.",
    },
    "reduction": {
        "torch": "PyTorch's losses take reduction='mean' or 'sum'.",
        "jax": "optax returns one loss per example: take .mean() of it.",
        "keras": "Keras' losses take reduction='sum_over_batch_size' or 'sum'.",
    },
    "evaluation": {
        "torch": "Call model.eval() before the evaluation and model.train() after it.",
        "jax": "Call model.eval() and model.train() (nnx), or pass deterministic=True and use_running_average=True.",
        "keras": "Do not pass training=True when layers are called, and let evaluate() choose.",
    },
    "schedule": {
        "torch": "Call scheduler.step() once per update, after optimizer.step().",
        "jax": "optax counts from 0: the first update has schedule(0).",
        "keras": "A LearningRateSchedule is called with optimizer.iterations, which is 0 at the first update.",
    },
    "excluded from decay": {
        "torch": "Give norms and biases a parameter group with weight_decay=0.",
        "jax": "Pass optax.adamw(…, mask=…) a tree that is True for kernels only.",
        "keras": 'Call optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"]).',
    },
    "decay": {
        "torch": "torch.optim.Adam takes weight_decay as a penalty in the gradient, AdamW beside it.",
        "jax": "optax.adamw decays beside the gradient; add_decayed_weights before scale_by_adam decays through it.",
        "keras": "AdamW's weight_decay acts beside the gradient, a kernel_regularizer through it.",
    },
    "epsilon of the optimizer": {
        "torch": "torch.optim.Adam has eps=1e-8 if none is given.",
        "jax": "optax.adam has eps=1e-8 if none is given.",
        "keras": "Keras' Adam has epsilon=1e-7 if none is given, and adds it before the moments are corrected.",
    },
    "bias": {"torch": "bias=True", "jax": "use_bias=True", "keras": "use_bias=True"},
    "scale": {"torch": "elementwise_affine=True", "jax": "use_scale=True", "keras": "scale=True"},
}
"""By topic."""
