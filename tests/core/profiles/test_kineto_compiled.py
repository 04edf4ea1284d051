"""Kernels of graphs that Inductor has compiled belong to the layers that its source tells."""

import gzip
import json
from pathlib import Path

import pytest

from multiboard.profile.kineto import convert
from multiboard.profile.kineto.compiled import UNREAD
from multiboard.profile.kineto.inductor import function_source, layered_calls, read_function
from multiboard.profile.summary import summarize

FORWARD = """
def call(self, args):
    primals_1, primals_2, primals_3, primals_4, primals_5 = args
    args.clear()
    assert_size_stride(primals_1, (8, 8), (8, 1))
    with torch.cuda._DeviceGuard(0):
        torch.cuda.set_device(0)
        buf0 = empty_strided_cuda((2, 8), (8, 1), torch.float32)
        # Topologically Sorted Source Nodes: [linear], Original ATen: [aten.t, aten.addmm]
        extern_kernels.addmm(primals_2, primals_3, reinterpret_tensor(primals_1, (8, 8), (1, 8), 0), alpha=1, beta=1, out=buf0)
        buf1 = empty_strided_cuda((2, 8), (8, 1), torch.float32)
        # Topologically Sorted Source Nodes: [linear, gelu], Original ATen: [aten.addmm, aten.gelu]
        stream0 = get_raw_stream(0)
        triton_poi_fused_gelu_0.run(buf0, buf1, 16, stream=stream0)
        # Topologically Sorted Source Nodes: [attn], Original ATen: [aten._attention]
        buf2 = torch.ops.aten._attention.default(buf1, buf1)
        buf3 = buf2[0]
        assert_size_stride(buf3, (2, 8), (8, 1))
        buf4 = buf2[1]
        buf5 = buf1; del buf1  # reuse
        triton_poi_fused_add_1.run(buf3, primals_5, buf5, 16, stream=stream0)
        buf6 = reinterpret_tensor(buf5, (16, ), (1, ), 0); del buf5  # reuse
    return (buf6, primals_1, primals_3, primals_4, buf0, buf4, )
"""

BACKWARD = """
def call(self, args):
    primals_1, primals_3, primals_4, addmm, getitem_1, tangents_1 = args
    args.clear()
    with torch.cuda._DeviceGuard(0):
        buf0 = empty_strided_cuda((8, ), (1, ), torch.float32)
        # Topologically Sorted Source Nodes: [sum_1], Original ATen: [aten.sum]
        triton_red_fused_sum_0.run(tangents_1, buf9, 8, 2, stream=stream0)
        triton_per_fused_sum_0.run(buf9, buf0, 8, 2, stream=stream0)
        # Topologically Sorted Source Nodes: [], Original ATen: [aten._attention_backward]
        buf1 = torch.ops.aten._attention_backward.default(tangents_1, getitem_1)
        buf2 = buf1[0]
        buf3 = buf2; del buf2  # reuse
        triton_poi_fused_gelu_backward_1.run(buf3, addmm, 16, stream=stream0)
        buf4 = empty_strided_cuda((8, 8), (8, 1), torch.float32)
        # Topologically Sorted Source Nodes: [permute_1, mm], Original ATen: [aten.t, aten.mm]
        extern_kernels.mm(reinterpret_tensor(buf3, (8, 2), (1, 8), 0), primals_3, out=buf4)
        buf5 = empty_strided_cuda((2, 8), (8, 1), torch.float32)
        # Topologically Sorted Source Nodes: [permute_2, mm_1], Original ATen: [aten.t, aten.mm]
        extern_kernels.mm(buf3, primals_1, out=buf5)
        # Topologically Sorted Source Nodes: [unknown], Original ATen: [aten.neg]
        triton_poi_fused_neg_2.run(buf5, 16, stream=stream0)
    return (buf4, None, buf5, None, buf0, )
"""

PROGRAM = {
    "nodes": {"linear": "fc1", "gelu": "mlp", "attn": "attn"},
    "parameters": ["fc1", "fc1", "", "norm", "fc2"],
    "forward": FORWARD,
    "backward": BACKWARD,
}


TRACE = Path(__file__).parent / "traces" / "torch_compiled.json.gz"
FORWARD_BLOCK = {
    ("{}/c_attn", "addmm"): 1,
    ("{}", "_scaled_dot_product_efficient_attention"): 1,
    ("{}/attn_proj", "mm"): 2,
    ("{}/c_fc", "addmm"): 1,
    ("{}", "triton_poi_fused_gelu_view_3"): 1,
    ("{}/mlp_proj", "mm"): 2,
}
BACKWARD_BLOCK = {
    ("backward/{}/mlp_proj", "triton_per_fused_sum_view_3"): 1,
    ("backward/{}/mlp_proj", "mm"): 2,
    ("backward/{}", "triton_poi_fused_gelu_gelu_backward_view_4"): 1,
    ("backward/{}/c_fc", "triton_per_fused_gelu_gelu_backward_sum_view_5"): 1,
    ("backward/{}/c_fc", "mm"): 3,
    ("backward/{}/ln_2", "triton_per_fused_native_layer_norm_backward_view_1"): 1,
    ("backward/{}/ln_2", "triton_per_fused_add_native_layer_norm_backward_view_6"): 1,
    ("backward/{}/attn_proj", "triton_per_fused_sum_view_3"): 1,
    ("backward/{}/attn_proj", "mm"): 3,
    ("backward/{}", "_scaled_dot_product_efficient_attention_backward"): 4,
    ("backward/{}/c_attn", "triton_poi_fused_cat_transpose_view_7"): 1,
    ("backward/{}/c_attn", "triton_per_fused_cat_sum_transpose_view_8"): 1,
    ("backward/{}/c_attn", "mm"): 3,
    ("backward/{}/ln_1", "triton_per_fused_native_layer_norm_backward_view_1"): 1,
}
"""The kernels of a transformer block: a product of two matrices has one or, where it is split, two of them."""
AROUND = {
    ("", "triton_poi_fused_arange_0"): 1,
    ("wte", "mm"): 1,
    ("backward/wte", "mm"): 2,
    ("backward/wte", "addmm"): 1,
    ("backward/wpe", "triton_poi_fused_embedding_dense_backward_0"): 1,
    ("backward/ln_f", "triton_per_fused_native_layer_norm_backward_view_1"): 1,
    ("backward/ln_f", "triton_per_fused_native_layer_norm_backward_view_2"): 1,
    ("backward", "triton_poi_fused_embedding_dense_backward_10"): 1,
    ("backward", "triton_poi_fused_embedding_dense_backward_sum_view_12"): 1,
    ("backward/h/0/ln_1", "triton_per_fused_add_embedding_dense_backward_native_layer_norm_backward_view_11"): 1,
    ("backward/h/1/ln_1", "triton_per_fused_add_native_layer_norm_backward_view_9"): 1,
}
NORMS = {"h/0/ln_1", "h/0/ln_2", "h/1/ln_1", "h/1/ln_2", "ln_f"}
"""Each in one kernel with the sum before it."""


def test_every_kernel_of_a_real_compiled_step_has_the_layer_that_it_is_for():
    kept = json.loads(gzip.decompress(TRACE.read_bytes()))
    space = convert(kept["trace"], facts={"compiled": kept["compiled"]})
    found = {(row.layer, row.op): row.calls for row in summarize(space).ops if row.place == "device"}
    blocks = {**FORWARD_BLOCK, **BACKWARD_BLOCK}
    expected = AROUND | {(layer.format(block), op): calls for block in ("h/0", "h/1") for (layer, op), calls in blocks.items()}
    assert {key: calls for key, calls in found.items() if key[0] not in NORMS} == expected
    assert {layer: calls for (layer, op), calls in found.items() if layer in NORMS} == dict.fromkeys(NORMS, 1)
    assert all("layer_norm" in op for layer, op in found if layer in NORMS)
    assert not space.warnings


def test_the_same_trace_without_what_the_compiler_told_has_no_layers():
    space = convert(json.loads(gzip.decompress(TRACE.read_bytes()))["trace"])
    assert {row.layer for row in summarize(space).ops} == {"", "backward"}


def test_calls_in_the_forward_pass_belong_to_the_last_node_with_a_layer_and_else_to_their_parameter():
    forward, _ = layered_calls(PROGRAM)
    assert forward == [
        ("addmm", "fc1"),
        ("triton_poi_fused_gelu_0", "mlp"),
        ("_attention", "attn"),
        ("triton_poi_fused_add_1", "fc2"),
    ]


def test_calls_in_the_backward_pass_belong_to_the_gradient_that_they_make_and_else_to_what_they_read():
    _, backward = layered_calls(PROGRAM)
    assert backward == [
        ("triton_red_fused_sum_0", "fc2"),  # is read by the next one only
        ("triton_per_fused_sum_0", "fc2"),  # returned as the gradient of the fifth input
        ("_attention_backward", "attn"),  # reads what only the attention has made
        ("triton_poi_fused_gelu_backward_1", "fc1"),  # reads what addmm has made
        ("mm", "fc1"),  # returned
        ("mm", "fc1"),  # reads a parameter
        ("triton_poi_fused_neg_2", ""),  # nothing tells it
    ]


def test_a_kernel_whose_last_node_is_of_the_outermost_module_belongs_to_no_layer():
    program = {**PROGRAM, "nodes": {"linear": "fc1", "gelu": "", "attn": "attn"}}
    assert dict(layered_calls(program)[0])["triton_poi_fused_gelu_0"] == ""


def test_what_a_backward_pass_keeps_in_another_order_tells_nothing():
    moved = BACKWARD.replace(
        "primals_1, primals_3, primals_4, addmm, getitem_1,", "primals_3, primals_1, primals_4, addmm, getitem_1,"
    )
    assert dict(layered_calls({**PROGRAM, "backward": moved})[1])["_attention_backward"] == ""


def test_a_program_of_another_kind_has_calls_without_layers():
    assert layered_calls({"forward": FORWARD}) == [[(call.name, "") for call in read_function(FORWARD).calls]]
    assert layered_calls({"forward": "", "nodes": None}) == [[]]


def test_the_function_of_a_module_is_cut_out_at_its_own_depth():
    body = "".join(f"    {line}\n" if line else "\n" for line in FORWARD.strip().splitlines())
    module = (
        f"import torch\nx = '''\ndef kernel(): pass\n'''\nclass Runner:\n    def __init__(self): ...\n{body}runner = Runner()\n"
    )
    assert read_function(function_source(module)) == read_function(FORWARD)
    assert function_source("import torch\n") == ""


def op(name, start, length, thread=1, kind="cpu_op"):
    return {"ph": "X", "cat": kind, "name": name, "pid": 1, "tid": thread, "ts": start, "dur": length, "args": {}}


def graph(key, start, length, *names, thread=1):
    """Return the call of a compiled graph, with operations in it of which each has another one inside."""
    found = [op(f"## Call CompiledFxGraph {key} ##", start, length, thread, "user_annotation")]
    for place, name in enumerate(names):
        found += [op(name, start + 10 * place + 1, 8, thread), op("aten::empty", start + 10 * place + 2, 1, thread)]
    return found


NAMES = ["aten::addmm", "triton_poi_fused_gelu_0", "aten::as_strided", "aten::_attention", "triton_poi_fused_add_1"]
BACK = ["triton_per_fused_sum_0", "aten::_attention_backward", "aten::mm", "aten::mm", "triton_poi_fused_neg_2"]


def rows(events, **facts):
    space = convert({"traceEvents": events}, facts=facts)
    return {(row.layer, row.op): row.calls for row in summarize(space).ops if row.op != "empty"}, list(space.warnings)


def test_operations_in_a_compiled_graph_get_the_layers_of_the_program_that_has_them_in_this_order():
    found, warnings = rows(graph("f1", 0, 100, *NAMES), compiled=[PROGRAM])
    assert found == {
        ("fc1", "addmm"): 1,
        ("mlp", "triton_poi_fused_gelu_0"): 1,
        ("", "as_strided"): 1,
        ("attn", "_attention"): 1,
        ("fc2", "triton_poi_fused_add_1"): 1,
    }
    assert not warnings


def test_operations_of_a_compiled_backward_pass_have_its_layers_below_backward():
    engine = op("autograd::engine::evaluate_function: CompiledFunctionBackward", 190, 200, 2)
    found, _ = rows([*graph("f1", 0, 100, *NAMES), engine, *graph("f2", 200, 100, *BACK, thread=2)], compiled=[PROGRAM])
    assert found["backward/fc1", "mm"] == 2
    assert found["backward/attn", "_attention_backward"] == 1
    assert found["backward", "triton_poi_fused_neg_2"] == 1


def test_layers_of_a_part_that_is_compiled_alone_lie_in_the_module_around_it():
    events = [op("mb.module:h/1", 0, 400, kind="user_annotation"), *graph("f1", 10, 100, *NAMES)]
    found, _ = rows(events, compiled=[PROGRAM], layers=["h/0/fc1", "h/1/fc1", "h/1/attn"])
    assert found["h/1/fc1", "addmm"] == 1


def test_layers_of_a_model_inside_the_object_that_was_compiled_are_those_of_the_model():
    program = {**PROGRAM, "nodes": {"linear": "trainer/model/h/0/fc1"}, "parameters": []}
    found, _ = rows(graph("f1", 0, 100, *NAMES), compiled=[program], layers=["h/0/fc1"])
    assert found["h/0/fc1", "addmm"] == 1


def test_graphs_that_are_alike_have_only_the_layers_in_which_they_agree():
    other = {**PROGRAM, "nodes": {"linear": "fc1", "gelu": "another", "attn": "attn"}}
    found, _ = rows(graph("f1", 0, 100, *NAMES), compiled=[PROGRAM, other])
    assert found["", "triton_poi_fused_gelu_0"] == found["fc1", "addmm"] == found["attn", "_attention"] == 1


def test_a_graph_that_is_none_of_the_known_ones_has_no_layers():
    found, _ = rows(graph("f1", 0, 100, "aten::addmm", "aten::cos", "aten::mm", "aten::_attention_backward"), compiled=[PROGRAM])
    assert {layer for layer, _ in found} == {""}


@pytest.mark.parametrize("facts", [{"forward": "def call(:"}, {"forward": 3, "nodes": 5}, {"nodes": {}, "parameters": 1}, 7])
def test_a_program_that_cannot_be_read_is_left_out_and_said_once(facts):
    found, warnings = rows(graph("f1", 0, 100, *NAMES), compiled=[facts, PROGRAM, facts])
    assert found["fc1", "addmm"] == 1
    assert len(warnings) <= 1
    assert all(warning.startswith(UNREAD) for warning in warnings)
