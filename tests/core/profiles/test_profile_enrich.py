"""Profiles of JAX and TensorFlow are completed in place, from the programs in them."""

from multiboard.profile import enrich_jax, enrich_tensorflow, hlo
from multiboard.profile.summary import summarize
from multiboard.profile.xspace import PlaneBuilder, SpaceBuilder, find_plane, stats_of

PROGRAM = 66


def instruction(name, number, opcode, op_name="", operands=(), called=(), frame=0):
    metadata = {"op_name": op_name, "stack_frame_id": frame}
    ids = {"operand_ids": list(operands), "called_computation_ids": list(called)}
    return {"name": name, "id": number, "opcode": opcode, "metadata": metadata, **ids}


def program():
    """Return a program with a convolution, fusions with and without names, a copy and a step of an optimizer."""
    stack = "jit(step)/transpose(jvp(CNN))"
    fused = [
        instruction("p0", 1, "parameter", "x"),
        instruction("mul", 2, "multiply", f"{stack}/fc1/mul", [1]),
        instruction("bit", 3, "bitcast", "", [2]),
    ]
    empty = [instruction("p1", 4, "parameter", "p['fc1']['bias']"), instruction("copy.9", 5, "copy", "", [4])]
    entry = [
        instruction("conv.1", 10, "convolution", "jit(step)/jvp(CNN)/conv1/conv_general_dilated"),
        instruction("fusion.1", 11, "fusion", called=[20]),
        instruction("fusion.2", 12, "fusion", called=[21]),
        instruction("fusion.3", 13, "fusion", "jit(step)/add", called=[20], frame=2),
        instruction("fusion.4", 14, "fusion", called=[99]),
    ]
    frames = {
        "file_names": ["/home/me/train.py", "/lib/optax/_src/update.py"],
        "file_locations": [{"file_name_id": 1}, {"file_name_id": 2}],
        "stack_frames": [{"file_location_id": 1}, {"file_location_id": 2, "parent_frame_id": 1}],
    }
    computations = [
        {"id": 20, "root_id": 3, "instructions": fused},
        {"id": 21, "root_id": 5, "instructions": empty},
        {"id": 22, "root_id": 10, "instructions": entry},
    ]
    module = {"name": "jit_step", "id": PROGRAM, "computations": computations, "stack_frame_index": frames}
    return hlo._HloProto(hlo_module=module).SerializeToString()


NAMES = {
    "conv.1": "conv1/conv_general_dilated:conv_general_dilated",
    "fusion.1": "backward/fc1/mul:mul",
    "fusion.2": "copy:copy",
    "fusion.3": "optimizer/add:add",
    "fusion.4": "fusion:fusion",
}


def captured(content=None, name=f"jit_step({PROGRAM})", **stats):
    """Return a profile with two calls of each instruction of the program."""
    builder = SpaceBuilder()
    metadata = builder.plane("/host:metadata")
    number = metadata.event_id(name)
    metadata.add_stat(metadata.message.event_metadata[number].stats, "Hlo Proto", program() if content is None else content)
    line = builder.plane("/host:CPU").line(1, "tf_XLAEigen/1")
    for at, op in enumerate([*NAMES, *NAMES]):
        line.event(op, at * 100, 50, {"hlo_op": op, "hlo_module": "jit_step", **(stats or {"program_id": PROGRAM})})
        line.event(f"end: {op}", at * 100 + 60, 5)
    return builder.space


def named(space, plane="/host:CPU"):
    """Return the names in tables by instruction."""
    host = find_plane(space, plane)
    stats = [stats_of(event, host) for line in host.lines for event in line.events]
    return {one["hlo_op"]: one["tf_op"] for one in stats if "tf_op" in one}


def test_operations_of_jax_are_named_by_what_they_were_in_the_source():
    space = captured()
    enrich_jax.enrich(space, {"roots": ["CNN"]})
    assert named(space) == NAMES
    assert {(row.layer, row.op, row.calls) for row in summarize(space).ops} >= {("conv1", "conv_general_dilated", 2)}
    assert sum(row.calls for row in summarize(space).ops) == 2 * len(NAMES)


def test_a_second_time_changes_nothing():
    space = captured()
    enrich_jax.enrich(space, {"roots": ["CNN"]})
    once = space.SerializeToString(deterministic=True)
    enrich_jax.enrich(space, {"roots": ["CNN"]})
    assert space.SerializeToString(deterministic=True) == once


def test_a_program_is_found_by_the_name_of_its_module():
    space = captured(run_id=1)
    enrich_jax.enrich(space, {"roots": ["CNN"]})
    assert named(space) == NAMES


def test_names_that_the_profiler_gave_are_those_of_layers_too():
    builder = SpaceBuilder()
    line = builder.plane("/device:GPU:0").line(1, "Stream #1")
    stack = "jit(step)/transpose(jvp(CNN))/fc1/dot_general"
    for name in (stack, f"{stack}:dot_general", "custom:thing"):
        line.event("gemm", 0, 5, {"tf_op": name, "hlo_op": name})
    enrich_jax.enrich(builder.space, {"roots": ["CNN"]})
    found = named(builder.space, "/device:GPU:0")
    assert list(found.values()) == ["backward/fc1/dot_general:dot_general"] * 2 + ["custom:thing"]


def test_programs_that_are_missing_or_damaged_leave_the_profile_as_it_is():
    for space in (captured(b"\xff\xff\xff"), captured(program()[: len(program()) // 2]), captured(program_id=7), captured(b"")):
        before = sum(len(line.events) for plane in space.planes for line in plane.lines)
        enrich_jax.enrich(space, {})
        enrich_tensorflow.enrich(space, {})
        assert sum(len(line.events) for plane in space.planes for line in plane.lines) == before


def test_devices_are_taken_out_where_another_profiler_has_them():
    builder = SpaceBuilder()
    for name in ("/device:GPU:0", "/host:CPU", "/device:CUSTOM:mine", "/device:GPU:1"):
        builder.plane(name).line(1, "line").event("kernel", 0, 5)
    for enrich in (enrich_jax.enrich, enrich_tensorflow.enrich):
        enrich(builder.space, {"host_only": True})
        assert [plane.name for plane in builder.space.planes] == ["/host:CPU", "/device:CUSTOM:mine"]


def test_operations_of_tensorflow_are_named_by_layer_and_still_show_what_they_were():
    node = "StatefulPartitionedCall/gradient_tape/cnn_1/conv1_1/ReluGrad:ReluGrad"
    builder = SpaceBuilder()
    line = builder.plane("/host:CPU").line(1, "tf_Compute/1")
    line.event(node, 0, 5)
    line.event("EagerExecute", 0, 5)
    enrich_tensorflow.enrich(builder.space, {"layers": {"cnn_1/conv1_1": "conv1"}})
    shown = {(one.name, one.display_name) for one in builder.space.planes[0].event_metadata.values()}
    assert shown == {("backward/conv1/ReluGrad:ReluGrad", node), ("EagerExecute", "")}


def test_allocations_of_tensorflow_are_tied_to_their_step_on_a_line_of_their_own():
    builder = SpaceBuilder()
    host = builder.plane("/host:CPU")
    main, worker = host.line(1, "python", 100), host.line(2, "tf_Compute/1", 200)
    for number in (4, 5):
        main.event("train", number * 10**6, 10**6, {"_r": 1, "step_num": number})
    stats = {"allocator_name": "cpu", "bytes_allocated": 8, "tf_op": "cnn_1/conv1_1/Relu"}
    for at in (4.5, 5.5, 9):
        worker.event("cnn_1/conv1_1/Relu:Relu", int(at * 10**6), 1000)
        worker.event("MemoryAllocation", int(at * 10**6), 0, stats)
    enrich_tensorflow.enrich(builder.space, {"layers": {"cnn_1/conv1_1": "conv1"}})
    plane = builder.space.planes[0]
    assert [len(line.events) for line in plane.lines] == [2, 3, 3]
    memory = plane.lines[2]
    assert (memory.id, memory.timestamp_ns) == (0xDEADBEEF + 6, 200)
    assert [event.offset_ps for event in memory.events] == [4_500_000, 5_500_000, 9_000_000]
    made = [stats_of(event, plane)["_p"] for event in plane.lines[0].events]
    assert [stats_of(event, plane).get("_c") for event in memory.events] == [*made, None]
    assert {stats_of(event, plane)["tf_op"] for event in memory.events} == {"conv1/Relu:Relu"}
    assert [(row.layer, row.calls) for row in summarize(builder.space).ops] == [("conv1", 3)]


def test_what_jax_knows_of_memory_and_could_not_do_is_in_the_profile():
    space = captured()
    memory = {"system/gpu1_memory_peak_mib": 3.0, "system/gpu1_memory_allocated_mib": 1.0, "system/gpu1_memory_reserved_mib": 2.5}
    enrich_jax.enrich(space, {"memory": memory | {"system/gpu_allocations": 7.0}, "notes": ["no Python functions"]})
    (row,) = summarize(space).memory
    assert (row.allocator, row.peak_bytes, row.allocations) == ("gpu1", 3 << 20, 0)
    assert "no Python functions" in summarize(space).notes
    plane = find_plane(space, "/host:CPU")
    (event,) = plane.lines[-1].events
    assert stats_of(event, plane)["bytes_allocated"] == 1 << 20
    assert event.offset_ps == max(one.offset_ps + one.duration_ps for one in plane.lines[0].events)


def batches(*events):
    """Return a profile with events of names and stats, one behind the other."""
    builder = SpaceBuilder()
    line = builder.plane("/host:CPU").line(1, "python")
    for at, (name, stats) in enumerate(events):
        line.event(name, at * 10**6, 10**6, stats)
    return builder.space


def test_steps_of_the_callback_of_keras_get_marks_on_both_backends():
    tensorflow = batches(("Profiled batch", {"step_num": 3}), ("Profiled batch", {"step_num": 4}), ("EagerExecute", {}))
    jax = batches(("Profiled batch 3", {}), ("Profiled batch 4", {}), ("PjitFunction", {}))
    for space, enrich in ((tensorflow, enrich_tensorflow.enrich), (jax, enrich_jax.enrich)):
        enrich(space, {})
        summary = summarize(space)
        assert [row.number for row in summary.steps] == [4]
        assert summary.captured == 2
        assert not any("no mark" in note for note in summary.notes)
        plane = find_plane(space, "/host:CPU")
        assert [plane.event_metadata[event.metadata_id].name for event in plane.lines[0].events][:2] == ["train", "train"]


def test_no_step_is_marked_twice():
    space = batches(("train", {"_r": 1, "step_num": 3}), ("Profiled batch", {"step_num": 4}))
    enrich_tensorflow.enrich(space, {})
    assert [row.number for row in summarize(space).steps] == [3]


def test_computations_of_other_threads_are_tied_to_the_step_they_run_in():
    space = batches(("train", {"_r": 1, "step_num": 3}), ("train", {"_r": 1, "step_num": 4}))
    plane = space.planes[0]
    worker = PlaneBuilder(plane).line(2, "tf_XLAEigen/2", timestamp_ns=500)
    for offset in (100, 6 * 10**5, 10**7):
        worker.event("ThunkExecutor::Execute", offset, 10)
    enrich_jax.enrich(space, {})
    made = [stats_of(event, plane)["_p"] for event in plane.lines[0].events]
    assert [stats_of(event, plane).get("_c") for event in plane.lines[1].events] == [*made, None]
    assert made[0] != made[1]
    once = space.SerializeToString(deterministic=True)
    enrich_jax.enrich(space, {})
    assert space.SerializeToString(deterministic=True) == once
