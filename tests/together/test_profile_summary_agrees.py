"""The summary of a profile against XProf's own numbers, on captures of PyTorch, JAX and TensorFlow."""

import json
import time

import pytest
from xprof.convert.raw_to_tool_data import xspace_to_tool_data

from multiboard.profile import enrich_jax, enrich_tensorflow
from multiboard.profile.kineto import convert
from multiboard.profile.summary import summarize
from multiboard.profile.xspace import SpaceBuilder, read_space, write_space

FIRST, STEPS = 500, 7
SLEEP = 0.004


def captured_by_jax(folder):
    """Capture seven steps of a linen model with a wait for input in each."""
    import jax
    import numpy as np
    import optax
    from flax import linen

    class Net(linen.Module):
        @linen.compact
        def __call__(self, x):
            x = linen.relu(linen.Dense(64, name="fc1")(x))
            return linen.Dense(8, name="fc2")(x)

    model, x = Net(), np.ones((64, 32), np.float32)
    optimizer = optax.adam(1e-3)
    parameters = model.init(jax.random.key(0), x)
    state = optimizer.init(parameters)

    @jax.jit
    def train_step(parameters, state, x):
        gradients = jax.grad(lambda p: (model.apply(p, x) ** 2).mean())(parameters)
        updates, state = optimizer.update(gradients, state)
        return optax.apply_updates(parameters, updates), state

    parameters, state = train_step(parameters, state, x)
    options = jax.profiler.ProfileOptions()
    options.python_tracer_level = 0
    jax.block_until_ready(state)
    with jax.profiler.trace(folder, profiler_options=options):
        for number in range(FIRST, FIRST + STEPS):
            with jax.profiler.StepTraceAnnotation("train", step_num=number):
                stage = {"_ipl_stage_id": 1 << 40, "_ipl_stage_name": "input", "_ipl_stage_cat": "preprocessing"}
                with jax.profiler.TraceAnnotation("input", **stage):
                    time.sleep(SLEEP)
                parameters, state = train_step(parameters, state, x)
                jax.block_until_ready(state)
    (path,) = folder.rglob("*.xplane.pb")
    space = read_space(path)
    enrich_jax.enrich(space, {"roots": ["Net"], "layers": ["fc1", "fc2"]})
    return space


def captured_by_tensorflow(folder):
    """Capture seven steps of a function of TensorFlow with a convolution, fed by tf.data."""
    import tensorflow as tf

    weight = tf.Variable(tf.ones((3, 3, 8, 8)))
    data = iter(tf.data.Dataset.from_tensors(tf.ones((16, 24, 24, 8))).map(lambda x: x * 2).repeat())

    @tf.function
    def train_step(iterator):
        x = next(iterator)
        with tf.GradientTape() as tape, tf.name_scope("net/conv1"):
            loss = tf.reduce_mean(tf.nn.relu(tf.nn.conv2d(x, weight, 1, "SAME")) ** 2)
        weight.assign_sub(tape.gradient(loss, weight))

    train_step(data)
    options = tf.profiler.experimental.ProfilerOptions(host_tracer_level=2, python_tracer_level=0)
    tf.profiler.experimental.start(str(folder), options=options)
    for number in range(FIRST, FIRST + STEPS):
        with tf.profiler.experimental.Trace("train", step_num=number, _r=1):
            train_step(data)
            tf.test.experimental.sync_devices()
    tf.profiler.experimental.stop()
    (path,) = folder.rglob("*.xplane.pb")
    space = read_space(path)
    enrich_tensorflow.enrich(space, {"layers": {"net/conv1": "conv1"}})
    return space


def captured_by_torch(folder):
    """Capture seven steps of a model of PyTorch, with a loader that takes its time."""
    import torch

    model = torch.nn.Sequential(torch.nn.Linear(32, 64), torch.nn.ReLU(), torch.nn.Linear(64, 8))
    optimizer = torch.optim.Adam(model.parameters(), foreach=False)
    x = torch.ones(64, 32)
    with torch.profiler.profile(
        activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True, acc_events=True
    ) as profiler:
        for number in range(FIRST, FIRST + STEPS):
            with torch.profiler.record_function(f"mb.step:{number}"):
                with torch.profiler.record_function("mb.input"):
                    time.sleep(SLEEP)
                optimizer.zero_grad()
                (model(x) ** 2).mean().backward()
                optimizer.step()
    path = folder / "trace.json"
    profiler.export_chrome_trace(str(path))
    return convert(path)


CAPTURES = {"jax": captured_by_jax, "tensorflow": captured_by_tensorflow, "torch": captured_by_torch}


@pytest.fixture(scope="module", params=CAPTURES)
def capture(request, tmp_path_factory):
    """The framework, and the file of a capture."""
    folder = tmp_path_factory.mktemp(request.param)
    path = folder / "host.xplane.pb"
    raw = folder / "raw"
    raw.mkdir()
    write_space(CAPTURES[request.param](raw), path)
    return request.param, path


def tables(path, tool):
    """Return the tables that XProf makes: rows as dicts, and properties."""
    data, _ = xspace_to_tool_data([str(path)], tool, {"use_saved_result": False})
    found = []
    for table in json.loads(data):
        names = [column["id"] for column in table["cols"]]
        rows = [{name: cell["v"] for name, cell in zip(names, row["c"], strict=True)} for row in table["rows"]]
        found.append((rows, table.get("p", {})))
    return found


def steps_of(path):
    return next(rows for rows, _ in tables(path, "input_pipeline_analyzer") if rows and "stepnum" in rows[0])


def test_times_of_steps_and_of_input_are_those_of_xprof(capture):
    framework, path = capture
    theirs = {int(row["stepnum"].removeprefix("train ")): row for row in steps_of(path)}
    ours = {row.number: row for row in summarize(read_space(path)).steps}
    assert len(theirs) == STEPS - 2
    for number, row in theirs.items():
        assert ours[number].ms == pytest.approx(row["stepTimeMs"], rel=0.01)
        assert ours[number].input_ms == pytest.approx(row["infeedTimeMs"], rel=0.1, abs=0.01)
        if framework != "tensorflow":
            assert ours[number].input_ms >= SLEEP * 1000
    shares = [row["hostComputeTimeMs"] / (row["stepTimeMs"] - row["infeedTimeMs"]) for row in theirs.values()]
    assert max(shares) > 0.1  # in the others the host may have waited for a processor


def test_the_share_of_input_is_that_of_xprof(capture):
    _, path = capture
    properties = {name: value for _, found in tables(path, "input_pipeline_analyzer") for name, value in found.items()}
    step, infeed = float(properties["steptime_ms_average"]), float(properties["infeed_time_ms_avg"])
    rounded = 0.05  # both are told to tenths of milliseconds
    rows = summarize(read_space(path)).steps[:-1]  # XProf leaves out the last one, too
    share = 100 * sum(row.input_ms for row in rows) / sum(row.ms for row in rows)
    assert 90 * (infeed - rounded) / (step + rounded) <= share <= 110 * (infeed + rounded) / (step - rounded)


def test_operations_are_counted_and_timed_as_by_xprof(capture):
    framework, path = capture
    rows, _ = tables(path, "framework_op_stats")[0]
    ours = {"/".join(filter(None, (row.layer, row.op))): row for row in summarize(read_space(path)).ops}
    theirs = {row["operation"]: row for row in rows if row["type"] not in {"IDLE", "Dataset", "preprocessing"}}
    assert theirs.keys() == ours.keys()
    for name, row in theirs.items():
        assert ours[name].calls == row["occurrences"]
        assert ours[name].self_us == pytest.approx(row["total_self_time"], rel=0.01, abs=0.01)
    layers = {row.layer for row in ours.values()}
    if framework == "torch":
        assert ours["linear"].calls == 2 * STEPS  # nobody has told the layers
    else:
        layer = {"jax": "fc1", "tensorflow": "conv1"}[framework]
        assert {layer, f"backward/{layer}"} <= layers
        assert {row.calls % STEPS for row in ours.values() if row.layer.endswith(layer)} == {0}
    if framework == "jax":
        assert "optimizer" in layers


def test_allocations_are_those_of_xprof(capture):
    framework, path = capture
    found = json.loads(xspace_to_tool_data([str(path)], "memory_profile", {"use_saved_result": False})[0])
    theirs = found.get("memoryProfilePerAllocator", {})
    ours = {row.allocator: row for row in summarize(read_space(path)).memory}
    assert ours.keys() == theirs.keys()
    assert bool(ours) == (framework != "jax")
    for name, row in ours.items():
        assert row.peak_bytes == int(theirs[name]["profileSummary"]["peakStats"]["heapAllocatedBytes"])
        steps = {one["activityMetadata"].get("stepId") for one in theirs[name]["memoryProfileSnapshots"]}
        assert steps - {None, "-1"}


def test_steps_of_the_callback_of_keras_are_seen_by_xprof(tmp_path):
    path = tmp_path / "host.xplane.pb"
    for name, stats in (("Profiled batch", True), ("Profiled batch {}", False)):
        builder = SpaceBuilder()
        line = builder.plane("/host:CPU").line(1, "python")
        for number in range(3):
            line.event(name.format(number), number * 10**9, 10**9, {"step_num": number} if stats else {})
            line.event("compute", number * 10**9 + 10**6, 10**8)
        enrich_tensorflow.enrich(builder.space, {})
        write_space(builder.space, path)
        assert [row["stepTimeMs"] for row in steps_of(path)] == [1.0, 1.0, 1.0]


def test_the_time_of_devices_is_that_of_xprof(kineto_traces, tmp_path):
    path = tmp_path / "host.xplane.pb"
    write_space(convert(kineto_traces.cuda(steps=5).json()), path)
    theirs = steps_of(path)
    busy = [row["deviceComputeTimeMs"] + row["deviceToDeviceTimeMs"] + row["deviceCollectivesTimeMs"] for row in theirs]
    ours = summarize(read_space(path))
    assert [row["stepTimeMs"] for row in theirs[1:]] == [pytest.approx(row.device_step_ms, rel=0.01) for row in ours.steps]
    assert busy[1:] == [pytest.approx(row.device_ms, rel=0.1) for row in ours.steps]
    assert ours.comm_pct > 0
