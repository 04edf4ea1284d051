"""What is the same in PyTorch, JAX and Keras is called the same in the layer view."""

from collections import Counter

import pytest

from multiboard.graph import view
from multiboard.graph.canonical import CALLS, LAYERS, canonical


@pytest.mark.parametrize(
    ("name", "natives"),
    [
        ("Dense", "Linear DenseGeneral Dense EinsumDense"),
        ("Conv1D", "Conv1d Conv1D"),
        ("Conv2D", "Conv2d Conv2D"),
        ("Conv3D", "Conv3d Conv3D"),
        ("ConvTranspose2D", "ConvTranspose2d Conv2DTranspose"),
        ("BatchNorm", "BatchNorm1d BatchNorm2d BatchNorm BatchNormalization"),
        ("LayerNorm", "LayerNorm LayerNormalization"),
        ("GroupNorm", "GroupNorm GroupNormalization"),
        ("RMSNorm", "RMSNorm RMSNormalization"),
        ("Embedding", "Embedding Embed"),
        ("Attention", "MultiheadAttention MultiHeadDotProductAttention MultiHeadAttention"),
        ("Dropout", "Dropout Dropout2d SpatialDropout2D"),
        ("LSTM", "LSTM"),
        ("GRU", "GRU"),
        ("RNN", "RNN SimpleRNN"),
        ("relu", "ReLU"),
        ("gelu", "GELU"),
        ("softmax", "Softmax"),
        ("max_pool", "MaxPool2d MaxPooling2D"),
        ("avg_pool", "AvgPool2d AveragePooling2D"),
        ("reshape", "Flatten Reshape"),
        ("add", "Add"),
        ("concatenate", "Concatenate"),
        ("MyBlock", "MyBlock"),
    ],
)
def test_layers_of_all_frameworks_have_one_name(sketch, name, natives):
    for native in natives.split():
        sketch.op(f"Net:Net layer_{native}:{native}", "native")
    assert {node.op for node in view(sketch.graph(), "layer").nodes} == {name}


@pytest.mark.parametrize(
    ("name", "natives"),
    [
        ("add", "add __add__ iadd radd aten::add aten::add_ aten::add.Tensor AddV2 Add BiasAdd add_any"),
        ("sub", "sub __sub__ __rsub__ subtract Sub aten::sub.Tensor"),
        ("mul", "mul __mul__ __imul__ multiply Mul aten::mul"),
        ("div", "div __truediv__ divide true_divide RealDiv"),
        ("pow", "pow __pow__ integer_pow Pow"),
        ("eq", "eq __eq__ equal Equal"),
        ("ne", "ne __ne__ not_equal NotEqual"),
        ("lt", "lt less Less __lt__"),
        ("where", "where select_n masked_fill SelectV2"),
        ("relu", "relu aten::relu Relu relu_"),
        ("softmax", "softmax aten::_softmax Softmax"),
        ("sigmoid", "sigmoid logistic Sigmoid"),
        ("silu", "silu swish"),
        ("matmul", "matmul __matmul__ bmm dot_general MatMul BatchMatMulV2"),
        ("einsum", "einsum Einsum"),
        ("attention", "scaled_dot_product_attention dot_product_attention"),
        ("conv", "conv2d conv_general_dilated aten::convolution Conv2D"),
        ("max_pool", "max_pool2d reduce_window_max MaxPool max_pool"),
        ("take", "take embedding gather GatherV2"),
        ("getitem", "__getitem__ slice StridedSlice"),
        ("reshape", "reshape view flatten Reshape ravel"),
        ("transpose", "transpose permute Transpose swapaxes"),
        ("expand_dims", "expand_dims unsqueeze ExpandDims"),
        ("broadcast_to", "broadcast_to expand broadcast_in_dim"),
        ("concatenate", "concatenate cat ConcatV2"),
        ("mean", "mean reduce_mean Mean"),
        ("sum", "sum reduce_sum Sum"),
        ("cast", "convert_element_type astype to Cast"),
        ("my_op", "my_op mine::my_op my_op.out"),
    ],
)
def test_functions_of_all_frameworks_have_one_name(name, natives):
    assert {canonical(native) for native in natives.split()} == {name}


@pytest.mark.parametrize("table", [LAYERS, CALLS])
def test_a_native_name_stands_for_one_canonical_name(table):
    counts = Counter(native for natives in table.values() for native in natives.split())
    assert not {native for native, count in counts.items() if count > 1 or native in table}


@pytest.mark.parametrize(("shape", "name"), [((3, 2, 4), "Conv1D"), ((3, 3, 2, 4), "Conv2D"), ((3, 3, 3, 2, 4), "Conv3D")])
def test_a_convolution_without_a_rank_takes_that_of_its_kernel(sketch, shape, name):
    sketch.weight("Net:Net conv:Conv", "kernel", shape)
    sketch.op("Net:Net conv:Conv", "conv_general_dilated")
    assert [node.op for node in view(sketch.graph(), "layer").nodes] == [name]


def test_an_activation_layer_is_its_function(sketch):
    sketch.op("Net:Net a:Activation @relu", "max")
    sketch.op("Net:Net b:Activation", "Softmax")
    sketch.op("Net:Net c:Activation", "Exp")
    sketch.op("Net:Net c:Activation", "Mul")
    assert [node.op for node in view(sketch.graph(), "layer").nodes] == ["relu", "softmax", "Activation"]


def test_the_other_views_keep_the_words_of_the_framework(sketch):
    sketch.op("Net:Net fc:Linear @__add__", "aten::add")
    assert [view(sketch.graph(), name).nodes[0].op for name in ("layer", "api", "op")] == ["Dense", "__add__", "aten::add"]
