"""Kernels that XLA launches all at once, as one graph of CUDA, are named after the operations that they compute."""

import gzip
from collections import Counter
from pathlib import Path

import pytest

from multiboard.profile import enrich_jax, hlo
from multiboard.profile.command_buffers import Kernel, operations_of
from multiboard.profile.summary import summarize
from multiboard.profile.xspace import SpaceBuilder, XSpace, find_plane, stats_of

TRACE = Path(__file__).parent / "traces" / "jax_gpu.xplane.pb.gz"
BLOCK = {
    ("{}/ln_1", "reduce_sum"): 1,
    ("{}/ln_1", "rsqrt"): 1,
    ("{}/ln_1", "mul"): 1,
    ("{}/ln_1", "add"): 1,
    ("{}/c_attn", "dot_general"): 2,
    ("{}", "split"): 3,
    ("{}", "dot_general"): 2,
    ("{}", "reduce_sum"): 1,
    ("{}", "div"): 1,
    ("{}", "transpose"): 1,
    ("{}/attn_proj", "dot_general"): 1,
    ("{}/ln_2", "reduce_sum"): 1,
    ("{}/ln_2", "rsqrt"): 1,
    ("{}/ln_2", "mul"): 1,
    ("{}/ln_2", "add"): 1,
    ("{}/c_fc", "dot_general"): 2,
    ("{}", "mul"): 1,
    ("{}/mlp_proj", "dot_general"): 1,
}
"""The kernels of a transformer block; cuBLAS clears memory before two of its products."""


@pytest.fixture
def traced():
    """Return the part of a trace of an H100 that `traces/cut_jax.py` describes."""
    space = XSpace()
    space.ParseFromString(gzip.decompress(TRACE.read_bytes()))
    return space


def test_every_kernel_of_a_real_command_buffer_gets_the_layer_of_its_operation(traced):
    enrich_jax.enrich(traced, {"roots": ["GPT2"]})
    found = {(row.layer, row.op): row.calls for row in summarize(traced).ops}
    launches = 2
    expected = {(layer.format(block), op): launches * calls for block in ("h0", "h1") for (layer, op), calls in BLOCK.items()}
    assert found == {**expected, ("h2/ln_1", "reduce_sum"): launches}


def test_a_kernel_of_a_command_buffer_says_its_instruction_and_still_its_buffer(traced):
    enrich_jax.enrich(traced, {})
    plane = find_plane(traced, "/device:GPU:0")
    stats = [stats_of(event, plane) for event in plane.lines[0].events]
    assert {one["command_buffer"] for one in stats} == {"command_buffer_1"}
    assert stats[0]["hlo_op"] == "input_add_reduce_fusion"
    assert {"cublas-lt-matmul.12", "gemm_fusion_dot.424"} <= {one["hlo_op"] for one in stats}


def test_kernels_of_a_command_buffer_keep_their_names_when_they_are_named_again(traced):
    enrich_jax.enrich(traced, {"roots": ["GPT2"]})
    once = traced.SerializeToString(deterministic=True)
    enrich_jax.enrich(traced, {"roots": ["GPT2"]})
    assert traced.SerializeToString(deterministic=True) == once


def test_a_launch_of_which_only_the_end_was_recorded_is_named_like_a_whole_one(traced):
    line = find_plane(traced, "/device:GPU:0").lines[0]
    del line.events[:26]
    enrich_jax.enrich(traced, {"roots": ["GPT2"]})
    found = Counter({(row.layer, row.op): row.calls for row in summarize(traced).ops})
    assert found["h0/c_attn", "dot_general"] == 2
    assert found["h1/c_attn", "dot_general"] == 4


def test_kernels_of_a_command_buffer_whose_program_is_not_in_the_profile_stay_as_they_are(traced):
    del find_plane(traced, hlo.METADATA_PLANE).event_metadata[1]
    before = find_plane(traced, "/device:GPU:0").SerializeToString(deterministic=True)
    enrich_jax.enrich(traced, {})
    assert find_plane(traced, "/device:GPU:0").SerializeToString(deterministic=True) == before


def kernels(*names, numbers=None):
    """Return kernels that ran in this order; of None a node is left out."""
    numbers = numbers or range(len(names))
    return [Kernel(10 * at, node, name) for at, (node, name) in enumerate(zip(numbers, names, strict=True)) if name]


def test_the_second_of_two_buffers_begins_where_its_names_say():
    program = ["a.1", "b.1", "a.2", "b.2", "c.1", "a.3", "d"]
    found = operations_of(kernels("b_2", "c_1", "a_3"), [program])
    assert found == {0: "b.2", 1: "c.1", 2: "a.3"}


def test_a_buffer_that_could_begin_in_several_places_names_only_what_its_kernels_are_called():
    assert operations_of(kernels("a_9", "a_9"), [["a.1", "a.2", "a.3"]]) == {}
    assert operations_of(kernels("a_2", "a_9", "a_9"), [["a.1", "a.2"]]) == {0: "a.2"}


def test_kernels_whose_numbers_count_more_than_operations_are_named_in_the_order_of_the_program():
    program = ["a.1", "gemm.1", "b.1", "a.2", "gemm.2", "b.2", "c"]
    ran = kernels("a_1", "sgemm", "b_1", "a_1", "sgemm", "b_1", "c", numbers=[0, 30, 4, 5, 31, 9, 10])
    assert operations_of(ran, [program]) == dict(zip([0, 30, 4, 5, 31, 9, 10], program, strict=True))


def test_a_buffer_in_the_body_of_a_loop_is_found_there():
    assert operations_of(kernels("x_1", "y_1"), [["while.3"], ["x.1", "y.1"]]) == {0: "x.1", 1: "y.1"}


def test_kernels_of_libraries_are_told_apart_by_the_calls_they_make():
    names = ["k.1", "gemm.1", "gemm.2", "k.2"]
    ran = kernels("k_1", "Memset 0", "sgemm", "splitKreduce_kernel", "hgemm", "k_2", numbers=[0, 9, 10, 11, 12, 3])
    assert operations_of(ran, [names]) == {0: "k.1", 3: "k.2", 9: "gemm.1", 10: "gemm.1", 11: "gemm.1", 12: "gemm.2"}


def test_kernels_of_libraries_that_do_not_fit_between_their_neighbours_have_no_operation():
    ran = kernels("k_1", "sgemm", "unknown", "hgemm", "k_2", numbers=[0, 9, 10, 11, 3])
    assert operations_of(ran, [["k.1", "gemm.1", "gemm.2", "k.2"]]) == {0: "k.1", 3: "k.2"}


def test_what_no_operation_is_known_for_is_called_what_it_is_and_not_what_launched_it():
    builder = SpaceBuilder()
    line = builder.plane("/device:GPU:0").line(1, "Stream #1")
    stats = {"hlo_op": "command_buffer", "program_id": 7, "correlation_id": 1, "tf_op": "XlaModule:"}
    for node in range(2):
        line.event("loop_add_fusion_3", node * 10, 5, {**stats, "cuda_graph_node_id": (3 << 32) + node})
    metadata = builder.plane(hlo.METADATA_PLANE)
    instruction = {"name": "copy.1", "id": 1, "opcode": "copy"}
    program = hlo._HloProto(hlo_module={"id": 7, "computations": [{"id": 1, "instructions": [instruction]}]})
    number = metadata.event_id("jit_f(7)")
    metadata.add_stat(metadata.message.event_metadata[number].stats, "Hlo Proto", program.SerializeToString())
    enrich_jax.enrich(builder.space, {})
    assert [(row.layer, row.op, row.calls) for row in summarize(builder.space).ops] == [("", "loop_add_fusion", 2)]


def test_a_profile_of_gpus_without_kernels_says_who_may_have_had_them(traced):
    empty = SpaceBuilder()
    empty.plane("/device:GPU:0")
    for space, facts in ((empty.space, {"gpus": 1, "host_only": True}), (empty.space, {"gpus": 0}), (traced, {"gpus": 1})):
        enrich_jax.enrich(space, facts)
        assert enrich_jax.NO_KERNELS not in space.warnings
    space = SpaceBuilder().space
    enrich_jax.enrich(space, {"gpus": 1})
    assert enrich_jax.NO_KERNELS in summarize(space).notes
