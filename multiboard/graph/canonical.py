"""What layers and operations are called in the layer view: the same in every framework.

The tables hold one row per canonical name, with all that it stands for. A name that is in no row stays as it is; the op view and
the api view stay in the words of the framework altogether.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from multiboard.graph.ir import ENDS, PARAMETER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from multiboard.graph.ir import Frame, Node

LAYERS: Final[Mapping[str, str]] = {
    "Dense": "Linear LazyLinear NonDynamicallyQuantizableLinear DenseGeneral LinearGeneral EinsumDense Einsum",
    "Conv1D": "Conv1d LazyConv1d Convolution1D",
    "Conv2D": "Conv2d LazyConv2d Convolution2D",
    "Conv3D": "Conv3d LazyConv3d Convolution3D",
    "ConvTranspose1D": "ConvTranspose1d Conv1DTranspose",
    "ConvTranspose2D": "ConvTranspose2d Conv2DTranspose",
    "ConvTranspose3D": "ConvTranspose3d Conv3DTranspose",
    "BatchNorm": "BatchNorm1d BatchNorm2d BatchNorm3d LazyBatchNorm1d LazyBatchNorm2d SyncBatchNorm BatchNormalization",
    "LayerNorm": "LayerNormalization",
    "GroupNorm": "GroupNormalization",
    "RMSNorm": "RMSNormalization",
    "InstanceNorm": "InstanceNorm1d InstanceNorm2d InstanceNorm3d",
    "Embedding": "Embed",
    "Attention": "MultiheadAttention MultiHeadDotProductAttention MultiHeadAttention",
    "Dropout": "Dropout1d Dropout2d Dropout3d SpatialDropout1D SpatialDropout2D SpatialDropout3D",
    "LSTM": "",
    "GRU": "",
    "RNN": "SimpleRNN",
    "LSTMCell": "OptimizedLSTMCell",
    "relu": "ReLU",
    "gelu": "GELU",
    "leaky_relu": "LeakyReLU",
    "elu": "ELU",
    "selu": "SELU",
    "silu": "SiLU",
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
    "softplus": "Softplus",
    "softmax": "Softmax Softmax2d",
    "log_softmax": "LogSoftmax",
    "max_pool": "MaxPool1d MaxPool2d MaxPool3d MaxPooling1D MaxPooling2D MaxPooling3D",
    "avg_pool": "AvgPool1d AvgPool2d AvgPool3d AveragePooling1D AveragePooling2D AveragePooling3D",
    "reshape": "Flatten Unflatten Reshape",
    "transpose": "Permute",
    "add": "Add",
    "sub": "Subtract",
    "mul": "Multiply",
    "concatenate": "Concatenate",
}
"""Classes of layers: those of PyTorch, Flax and Keras by canonical name."""

CALLS: Final[Mapping[str, str]] = {
    "add": "__add__ __iadd__ __radd__ iadd radd add_ Add AddV2 BiasAdd add_any",
    "sub": "__sub__ __isub__ __rsub__ isub rsub sub_ subtract Sub",
    "mul": "__mul__ __imul__ __rmul__ imul rmul mul_ multiply Mul",
    "div": "__truediv__ __itruediv__ __rtruediv__ truediv itruediv rtruediv div_ divide true_divide RealDiv",
    "floor_divide": "__floordiv__ __rfloordiv__ floordiv FloorDiv",
    "remainder": "__mod__ __rmod__ mod rem fmod FloorMod",
    "pow": "__pow__ __rpow__ power integer_pow float_power Pow",
    "neg": "__neg__ negative neg_ Neg",
    "abs": "__abs__ absolute Abs",
    "eq": "__eq__ equal Equal",
    "ne": "__ne__ not_equal NotEqual",
    "lt": "__lt__ less Less",
    "le": "__le__ less_equal LessEqual",
    "gt": "__gt__ greater Greater",
    "ge": "__ge__ greater_equal GreaterEqual",
    "logical_and": "__and__ and bitwise_and LogicalAnd",
    "logical_or": "__or__ or bitwise_or LogicalOr",
    "logical_not": "__invert__ not bitwise_not LogicalNot",
    "where": "select select_n masked_fill masked_fill_ Select SelectV2",
    "clip": "clamp clamp_ ClipByValue",
    "maximum": "Maximum",
    "minimum": "Minimum",
    "exp": "Exp",
    "log": "Log",
    "sqrt": "Sqrt",
    "rsqrt": "Rsqrt",
    "square": "Square",
    "erf": "Erf",
    "sin": "Sin",
    "cos": "Cos",
    "relu": "relu_ Relu",
    "relu6": "ReLU6 Relu6",
    "gelu": "",
    "elu": "elu_ Elu",
    "selu": "selu_ Selu",
    "leaky_relu": "leaky_relu_ LeakyRelu",
    "silu": "swish silu_ Swish",
    "sigmoid": "logistic sigmoid_ expit Sigmoid",
    "tanh": "tanh_ Tanh",
    "softplus": "Softplus",
    "softmax": "_softmax Softmax",
    "log_softmax": "_log_softmax LogSoftmax",
    "matmul": "__matmul__ __rmatmul__ rmatmul bmm mm dot dot_general MatMul BatchMatMul BatchMatMulV2 BatchMatMulV3",
    "einsum": "Einsum",
    "linear": "addmm",
    "attention": "scaled_dot_product_attention dot_product_attention",
    "conv": "conv1d conv2d conv3d convolution conv_general_dilated Conv2D",
    "max_pool": "max_pool1d max_pool2d max_pool3d reduce_window_max MaxPool",
    "avg_pool": "avg_pool1d avg_pool2d avg_pool3d average_pool AvgPool",
    "adaptive_avg_pool": "adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d",
    "batch_norm": "native_batch_norm FusedBatchNormV3",
    "layer_norm": "native_layer_norm",
    "dropout": "dropout_ native_dropout alpha_dropout",
    "take": "embedding gather index_select Gather GatherV2 ResourceGather",
    "getitem": "__getitem__ index slice dynamic_slice static_slice rewriting_take StridedSlice",
    "setitem": "__setitem__ index_put index_put_ dynamic_update_slice scatter",
    "reshape": "view view_as reshape_as flatten ravel unflatten _unsafe_view Reshape",
    "transpose": "permute swapaxes moveaxis t T mT Transpose",
    "expand_dims": "unsqueeze ExpandDims",
    "squeeze": "Squeeze",
    "broadcast_to": "expand expand_as broadcast_in_dim BroadcastTo",
    "concatenate": "cat concat Concat ConcatV2",
    "stack": "Pack",
    "split": "chunk Split SplitV",
    "tile": "Tile",
    "pad": "constant_pad_nd Pad PadV2",
    "arange": "iota Range",
    "zeros": "zeros_like",
    "ones": "ones_like",
    "full": "full_like Fill",
    "one_hot": "OneHot",
    "tril": "",
    "triu": "",
    "cumsum": "Cumsum",
    "sum": "reduce_sum sum_ Sum",
    "mean": "reduce_mean global_avg_pool mean_ Mean",
    "max": "reduce_max amax Max",
    "min": "reduce_min amin Min",
    "prod": "reduce_prod Prod",
    "argmax": "ArgMax",
    "argmin": "ArgMin",
    "cast": "convert_element_type astype to type float half bfloat16 double int long _to_copy type_as Cast",
    "stop_gradient": "detach StopGradient",
}
"""Functions and operations: their names in PyTorch, JAX, Keras and TensorFlow by canonical name."""

_COMPOSITES: Final = (
    "MultiheadAttention MultiHeadDotProductAttention MultiHeadAttention GroupedQueryAttention LSTM GRU RNN SimpleRNN "
    "TransformerEncoderLayer TransformerDecoderLayer LSTMCell OptimizedLSTMCell GRUCell SimpleCell MGUCell StackedRNNCells "
    "Bidirectional ConvLSTM1D ConvLSTM2D ConvLSTM3D"
)
COMPOSITES: Final = frozenset(_COMPOSITES.split())
"""Classes that people see as one layer although they call others."""
LISTS: Final = frozenset({"", "ModuleList", "ModuleDict", "List", "Dict"})
"""Classes of what only holds layers and is never called."""

_LAYER_OF: Final = {native: name for name, natives in LAYERS.items() for native in natives.split()}
_CALL_OF: Final = {native: name for name, natives in CALLS.items() for native in natives.split()}
_RANKLESS: Final = frozenset({"Conv", "ConvTranspose", "ConvLocal"})
_WRAPPERS_OF_FUNCTIONS: Final = frozenset({"Activation", "Lambda"})
_NAMESPACE: Final = re.compile(r"^.*::|\..*$")
"""'aten::add.Tensor' is 'add'."""


def canonical(op: str) -> str:
    """Return the canonical name of a function or an operation.

    Example:
        >>> canonical("aten::add.Tensor"), canonical("AddV2"), canonical("__iadd__"), canonical("my_op")
        ('add', 'add', 'add', 'my_op')
    """
    name = _NAMESPACE.sub("", op) or op
    return _CALL_OF.get(name, name)


def canonical_class(frame: Frame, members: list[Node]) -> str:
    """Return the op of the node that a frame becomes in the layer view.

    Args:
        frame: of a module, a call or a region.
        members: the nodes below it: the rank of a convolution is that of its kernel, an activation layer is its function.
    """
    if frame.kind != "module":
        return canonical(frame.name)
    if frame.cls in _RANKLESS:
        return _ranked(frame.cls, members)
    if frame.cls in _WRAPPERS_OF_FUNCTIONS:
        return _function(frame, members)
    return _LAYER_OF.get(frame.cls, frame.cls or frame.name)


def _ranked(cls: str, members: list[Node]) -> str:
    for member in members:
        if member.op == PARAMETER and member.name == "kernel" and member.outputs and member.outputs[0].shape:
            return f"{cls}{len(member.outputs[0].shape) - 2}D"
    return cls


def _function(frame: Frame, members: list[Node]) -> str:
    """Return the only function that a layer calls; the layer's class if there are several."""
    names = set()
    for member in members:
        if member.op not in ENDS:
            below = member.scope[member.scope.index(frame) + 1 :]
            names.add(canonical(below[0].name if below else member.op))
    return names.pop() if len(names) == 1 else frame.cls
