"""FLOPs of operators: 2 * multiply-adds of matrix products and convolutions.

PyTorch counts many of them itself; here are those that it lacks, which run several products in one call, and the most common,
for which its own rules take longer than all else that is recorded of them.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any, Final

from multiboard_torch._compat import flop_rules

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from multiboard.graph.recorder import Recorder


def flops(function: Any, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], out: Any, recorder: Recorder) -> int:
    """Return the FLOPs of one call of an operator; 0 with a note if they cannot be counted."""
    rule = _rule(function, name)
    if rule is None:
        return 0
    try:
        return int(rule(args, kwargs, out))
    except Exception as error:  # noqa: BLE001  # shapes of an operator of another version
        recorder.note(f"The FLOPs of {name} were not counted: {type(error).__name__}.")
        return 0


@functools.lru_cache(maxsize=4096)
def _rule(function: Any, name: str) -> Callable[..., int] | None:
    own = _RULES.get(name)
    if own is not None:
        return own
    found = flop_rules().get(getattr(function, "overloadpacket", function))
    if found is None:
        return None
    return lambda args, kwargs, out: found(*args, **kwargs, out_val=out)


def _attention(args: Sequence[Any], _kwargs: Mapping[str, Any], _out: Any) -> int:
    """Count scores and weighted sums of `[B, H, S, E]` queries, keys and values."""
    return _products(*args[:3])


def _products(query: Any, key: Any, value: Any) -> int:
    batch, heads, queries, width = query.shape
    keys = key.shape[-2]
    return int(2 * batch * heads * queries * keys * (width + value.shape[-1]))


def _attention_backward(args: Sequence[Any], _kwargs: Mapping[str, Any], _out: Any) -> int:
    """Count five products of the first four arguments `grad_out, query, key, value`: the scores are computed again."""
    query, key, value = args[1:4]
    batch, heads, queries, width = query.shape
    keys = key.shape[-2]
    return int(2 * batch * heads * queries * keys * (3 * width + 2 * value.shape[-1]))


def _native_attention(args: Sequence[Any], _kwargs: Mapping[str, Any], _out: Any) -> int:
    """Count `_native_multi_head_attention(query, key, value, embed_dim, num_head, …)` of `[B, S, E]`."""
    query, key, value, width = args[:4]
    batch, queries = query.shape[:2]
    keys = key.shape[1]
    projections = batch * (2 * queries + key.shape[1] + value.shape[1]) * width * width
    return int(2 * (projections + 2 * batch * queries * keys * width))


def _encoder_layer(args: Sequence[Any], kwargs: Mapping[str, Any], _out: Any) -> int:
    """Count `_transformer_encoder_layer_fwd(src, embed_dim, …)`: attention and two dense layers of `[B, S, E]`."""
    source, width = args[:2]
    batch, length = source.shape[:2]
    first = args[_FFN_WEIGHT] if len(args) > _FFN_WEIGHT else kwargs["ffn_weight_1"]
    attention = 4 * batch * length * width * width + 2 * batch * length * length * width
    return int(2 * (attention + 2 * batch * length * width * first.shape[0]))


_FFN_WEIGHT: Final = 14
"""Where `ffn_weight_1` is among the arguments of `_transformer_encoder_layer_fwd`."""


def _fused_recurrence(args: Sequence[Any], _kwargs: Mapping[str, Any], _out: Any) -> int:
    """Count one layer `mkldnn_rnn_layer(input, w_ih, w_hh, …)` of `[T, B, I]`: each weight once per step and example."""
    steps = args[0].shape[0] * args[0].shape[1]
    return int(2 * steps * (args[1].numel() + args[2].numel()))


def _fused_recurrence_backward(args: Sequence[Any], kwargs: Mapping[str, Any], out: Any) -> int:
    return 2 * _fused_recurrence(args, kwargs, out)


def _all_layers(args: Sequence[Any], _kwargs: Mapping[str, Any], _out: Any) -> int:
    """Count `_cudnn_rnn(input, weights, …)` or `miopen_rnn`: all matrices once per step and example."""
    source, weights = args[0], args[1]
    steps = source.numel() // source.shape[-1]
    return int(2 * steps * sum(weight.numel() for weight in weights if weight.ndim > 1))


def _matrix_vector(args: Sequence[Any], _kwargs: Mapping[str, Any], _out: Any) -> int:
    """Count `mv(matrix, vector)` and `dot(vector, vector)`."""
    return int(2 * args[0].numel())


def _added_vector(args: Sequence[Any], _kwargs: Mapping[str, Any], _out: Any) -> int:
    return int(2 * args[1].numel())


def _added_product(args: Sequence[Any], _kwargs: Mapping[str, Any], _out: Any) -> int:
    """Count `addmm(c, a, b)`, `baddbmm(c, a, b)` and `addbmm(c, a, b)`."""
    return int(2 * args[1].numel() * args[2].shape[-1])


def _matrices(args: Sequence[Any], _kwargs: Mapping[str, Any], _out: Any) -> int:
    """Count `mm(a, b)` and `bmm(a, b)`."""
    return int(2 * args[0].numel() * args[1].shape[-1])


def _convolution(args: Sequence[Any], _kwargs: Mapping[str, Any], out: Any) -> int:
    """Count `convolution(input, weight, bias, stride, padding, dilation, transposed, …)`: a kernel per value of the output.

    If it is transposed, a kernel per value of the input.
    """
    values = args[0] if args[_TRANSPOSED] else out
    return int(2 * values.numel() * math.prod(args[1].shape[1:]))


_TRANSPOSED: Final = 6

_RULES: Final[Mapping[str, Callable[..., int]]] = {
    "aten::_scaled_dot_product_flash_attention_for_cpu": _attention,
    "aten::_scaled_dot_product_flash_attention_for_cpu_backward": _attention_backward,
    "aten::_scaled_dot_product_fused_attention_overrideable": _attention,
    "aten::_scaled_dot_product_fused_attention_overrideable_backward": _attention_backward,
    "aten::_native_multi_head_attention": _native_attention,
    "aten::_transformer_encoder_layer_fwd": _encoder_layer,
    "aten::mkldnn_rnn_layer": _fused_recurrence,
    "aten::mkldnn_rnn_layer_backward": _fused_recurrence_backward,
    "aten::mm": _matrices,
    "aten::bmm": _matrices,
    "aten::addmm": _added_product,
    "aten::baddbmm": _added_product,
    "aten::convolution": _convolution,
    "aten::mv": _matrix_vector,
    "aten::dot": _matrix_vector,
    "aten::vdot": _matrix_vector,
    "aten::addmv": _added_vector,
    "aten::_int_mm": _matrices,
    "aten::_addmm_activation": _added_product,
    "aten::addbmm": _added_product,
    "aten::_cudnn_rnn": _all_layers,
    "aten::miopen_rnn": _all_layers,
}
