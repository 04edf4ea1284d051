"""Scalars of a run are sent on to W&B (offline, into its own file), and to mirrors of other packages."""

import gc
import json
import struct
import subprocess
import sys
import threading

import numpy as np
import pytest

import multiboard as mb
from multiboard import mirrors

wandb = pytest.importorskip("wandb")
bridge = pytest.importorskip("multiboard_bridges.wandb")

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


@pytest.fixture
def records(tmp_path, monkeypatch):
    """The function that returns what the file of W&B holds: rows of the history, the configuration and the metrics."""
    for name, value in {"MODE": "offline", "DIR": str(tmp_path), "SILENT": "true", "CONSOLE": "off"}.items():
        monkeypatch.setenv(f"WANDB_{name}", value)
    wandb.teardown()  # what another file has begun knows other directories

    def read():
        wandb.teardown()  # W&B ends its file a moment after its run
        return read_file(*tmp_path.glob("wandb/offline-run-*/*.wandb"))

    yield read
    wandb.teardown()


BLOCK = 32_768
"""Bytes of a block of the file, which is a log of LevelDB behind seven bytes of W&B."""


def read_file(path):
    from wandb.proto import wandb_internal_pb2

    data, at, part, found = path.read_bytes(), 7, b"", []
    while at + 7 <= len(data):
        if BLOCK - at % BLOCK < 7:
            at += BLOCK - at % BLOCK
            continue
        _, length, kind = struct.unpack_from("<IHB", data, at)
        part += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in {1, 4}:
            record = wandb_internal_pb2.Record()
            record.ParseFromString(part)
            found.append(record)
            part = b""
    return found


def history(records):
    return [
        {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in record.history.item}
        for record in records
        if record.HasField("history")
    ]


def config(records):
    messages = [record.config for record in records if record.HasField("config")]
    messages += [record.run.config for record in records if record.HasField("run")]
    return {item.key: json.loads(item.value_json) for message in messages for item in message.update}


def test_scalars_and_hyper_parameters_of_a_run_reach_wandb(tmp_path, records):
    with mb.Run(tmp_path / "run", config={"lr": 0.1}, mirror="wandb") as run:
        for step in range(200):
            run.log({"train/loss": 1 / (step + 1), "train/acc": step}, step)
    found = records()
    rows = history(found)
    assert [row["global_step"] for row in rows] == list(range(200))
    np.testing.assert_allclose([row["train/loss"] for row in rows], mb.read(tmp_path / "run")["."].scalars["train/loss"].value)
    assert config(found)["lr"] == 0.1
    assert "run/host" in config(found)
    assert any(record.HasField("exit") for record in found)


def test_values_of_earlier_steps_are_not_lost_on_their_way_to_wandb(tmp_path, records):
    with mb.Run(tmp_path / "run", mirror="wandb") as run:
        for step in range(10):
            run.log({"train/loss": 1.0}, step)
        run.log({"val/loss": 0.5}, 4)
    found = records()
    assert [row["global_step"] for row in history(found) if "val/loss" in row] == [4]
    drawn = [record.metric for record in found if record.HasField("metric") and record.metric.step_metric]
    assert [(metric.glob_name, metric.step_metric) for metric in drawn] == [("*", "global_step")]


def test_what_one_step_logs_in_several_calls_is_one_row(tmp_path, records, monkeypatch):
    monkeypatch.setattr(bridge, "_ROUND", 60.0)  # the end of the run ends the wait
    with mb.Run(tmp_path / "run", mirror="wandb") as run:
        run.scalar("a", 1, 0)
        run.scalar("b", 2, 0)
        run.scalar("a", 3, 1)
    assert [(row.get("a"), row.get("b")) for row in history(records())] == [(1, 2), (3, None)]


def test_a_run_of_wandb_that_is_active_is_used_and_stays_open(tmp_path, records):
    theirs = wandb.init(project="mine")
    theirs.log({"own": 1.0})
    with mb.Run(tmp_path / "run", mirror="wandb") as run:
        run.log({"train/loss": 1.0}, 7)
    assert wandb.run is theirs
    theirs.log({"own": 2.0})
    theirs.finish()
    found = records()
    assert [row.get("global_step") for row in history(found)] == [None, 7, None]
    drawn = {record.metric.name for record in found if record.HasField("metric") and record.metric.step_metric}
    assert drawn == {"train/loss"}


@pytest.mark.usefixtures("records")
def test_runs_that_are_mirrored_at_the_same_time_have_a_run_of_wandb_each(tmp_path):
    runs = [mb.Run(tmp_path / name, mirror="wandb") for name in ("first", "second")]
    for step in range(3):
        for number, run in enumerate(runs):
            run.log({"x": number}, step)
    for run in runs:
        run.close()
    wandb.teardown()
    files = [read_file(path) for path in tmp_path.glob("wandb/offline-run-*/*.wandb")]
    named = {record.run.display_name: history(found) for found in files for record in found if record.HasField("run")}
    assert {name: [row["x"] for row in rows] for name, rows in named.items()} == {"first": [0, 0, 0], "second": [1, 1, 1]}


def test_times_of_the_rows_are_those_of_the_calls(tmp_path, records):
    with mb.Run(tmp_path / "run", mirror="wandb") as run:
        run.log({"train/loss": 1.0}, 0, wall_time=1_700_000_000.5)
    assert history(records())[0]["_timestamp"] == 1_700_000_000.5


def test_what_wandb_does_not_take_in_time_is_counted_and_the_run_goes_on(tmp_path, records, monkeypatch):
    monkeypatch.setattr(bridge, "NUMBERS", 100)
    released = threading.Event()
    said = []
    with mb.Run(tmp_path / "run", on_error=lambda cause, _: said.append(cause)) as run:
        mirror = mirrors.open_mirror("wandb", run)
        send = mirror._theirs.log
        monkeypatch.setattr(mirror._theirs, "log", lambda row: released.wait(60) and send(row))
        run.observe(mirror)
        with pytest.warns(mb.MultiboardWarning, match="in time"):
            for step in range(1000):
                run.log({"x": step}, step)
            assert run.flush(60)
        released.set()
        with pytest.warns(mb.MultiboardWarning) as told:
            run.close()
    assert any("scalars of this run are not in W&B" in str(one.message) for one in told)
    assert mb.read(tmp_path / "run")["."].scalars["x"].step.tolist() == list(range(1000))
    assert len(history(records())) + said.count("mirror wandb dropped") == 1000


def test_a_program_that_ends_without_closing_its_run_has_sent_everything(tmp_path, records):
    program = (
        "import sys, multiboard as mb\n"
        "run = mb.Run(sys.argv[1], mirror='wandb')\n"
        "for step in range(500): run.log({'x': step}, step)\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", program, str(tmp_path / "run")], check=True, timeout=120)
    found = records()
    assert [row["x"] for row in history(found)] == list(range(500))
    assert any(record.HasField("exit") for record in found)


def test_a_run_that_is_forgotten_ends_its_run_of_wandb(tmp_path, records):
    run = mb.Run(tmp_path / "run", mirror="wandb")
    run.log({"x": 1.0}, 0)
    threads = [thread for thread in threading.enumerate() if thread.name == "multiboard-wandb"]
    del run
    gc.collect()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    found = records()
    assert [row["x"] for row in history(found)] == [1.0]
    assert any(record.HasField("exit") for record in found)


@pytest.mark.usefixtures("records")
def test_a_wandb_that_cannot_be_started_does_not_end_a_training(tmp_path, monkeypatch):
    monkeypatch.setattr(wandb, "init", lambda **_: (_ for _ in ()).throw(wandb.errors.CommError("no network")))
    with pytest.warns(mb.MultiboardWarning, match="no network"):
        run = mb.Run(tmp_path / "run", mirror="wandb")
    with run:
        run.log({"x": 1.0}, 0)
    assert mb.read(tmp_path / "run")["."].scalars["x"].value.tolist() == [1.0]


def test_a_mirror_that_nobody_offers_is_refused_with_the_names_of_those_that_are(tmp_path):
    with pytest.raises(mb.ArgumentError, match=r"'wandb'.* Did you mean 'wandb'"):
        mb.Run(tmp_path / "run", mirror="wandbb")
