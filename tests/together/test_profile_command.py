"""`multiboard profile` makes sessions of traces, and shows their numbers."""

import json

import pytest
from click.testing import CliRunner

import multiboard as mb
from multiboard.cli import main
from multiboard.profile.processing import finish_later
from multiboard.profile.sessions import claim_session, profiles_of
from multiboard.profile.tracer import Raw


@pytest.fixture
def profile():
    """A function that calls the command and returns its exit status and its output."""

    def call(*arguments):
        result = CliRunner().invoke(main, ["profile", *map(str, arguments)])
        return result.exit_code, result.output

    return call


@pytest.fixture
def trace(kineto_traces, tmp_path):
    path = tmp_path / "trace.json"
    path.write_text(json.dumps(kineto_traces.cuda(steps=4).json()))
    return path


def test_a_trace_becomes_a_session_that_is_summed_up(profile, trace, tmp_path):
    status, output = profile("convert", trace, "--log-dir", tmp_path / "runs", "--run", "torch")
    assert status == 0, output
    file = tmp_path / "runs" / "torch" / "plugins" / "profile" / "step_000500" / "rank3.xplane.pb"
    assert f"{file}: " in output
    assert "events, " in output
    for path in (tmp_path / "runs" / "torch", file.parent, file, trace):
        status, output = profile("summary", path)
        assert status == 0, output
        assert "Steps 501 to 503 (4 captured)" in output
        assert "device busy" in " ".join(output.split())
    assert not any(tmp_path.rglob("*tfevents*"))


def test_json_has_everything_by_host(profile, trace):
    status, output = profile("summary", trace, "--json")
    assert status == 0
    found = json.loads(output)["trace.json"]
    assert [row["number"] for row in found["steps"]] == [501, 502, 503]
    assert {"place", "layer", "op", "calls", "self_us", "share"} == found["ops"][0].keys()


def test_numbers_are_logged_beside_those_of_the_training_on_request(profile, trace, tmp_path):
    with mb.Run(tmp_path / "run") as run:
        run.log({"train/loss": 1.0}, 700)
    status, output = profile("convert", trace, "--log-dir", tmp_path, "--run", "run", "--summary")
    assert status == 0, output
    found = mb.read(tmp_path / "run")["."]
    assert found.scalars["train/loss"].step.tolist() == [700]
    assert found.scalars["profile/step_ms"].step.tolist() == [500]
    assert "| Layer | Operation |" in found.texts["profile/top_ops"].value[0]
    assert "?run=run%2Fstep_000500#profile" in found.texts["profile/top_ops"].value[0]


def test_a_session_that_was_left_for_later_is_finished(profile, trace, tmp_path):
    session = claim_session(profiles_of(tmp_path), 500, "here", {"step": 500})
    finish_later(session, "here", [Raw("kineto", str(trace), "torch", {})], max_events=None, keep_raw=False)
    assert "profile convert" in profile("summary", tmp_path)[1]
    status, output = profile("convert", tmp_path)
    assert (status, "finished here" in output) == (0, True)
    assert "nothing is left to do" in profile("convert", session)[1]
    assert profile("summary", tmp_path)[0] == 0


def test_all_that_a_run_has_left_for_later_is_finished_and_logged_on_request(profile, kineto_traces, tmp_path):
    for step in (500, 600):
        raw = tmp_path / f"{step}.json"
        raw.write_text(json.dumps(kineto_traces.cuda(steps=4).json()))
        session = claim_session(profiles_of(tmp_path / "run"), step, "here", {"step": step})
        finish_later(session, "here", [Raw("kineto", str(raw), "torch", {})], max_events=None, keep_raw=False)
    status, output = profile("convert", tmp_path / "run", "--summary")
    assert (status, output.count("finished here")) == (0, 2)
    found = mb.read(tmp_path / "run")["."]
    assert found.scalars["profile/step_ms"].step.tolist() == [500, 600]
    assert "?run=run%2Fstep_000600#profile" in found.texts["profile/top_ops"].value[1]


def test_one_of_several_ranks_tells_the_numbers(profile, kineto_traces, tmp_path):
    for rank in (0, 1):
        content = kineto_traces.cuda(steps=4).json()
        content["distributedInfo"] = {"rank": rank, "world_size": 2}
        (tmp_path / f"{rank}.json").write_text(json.dumps(content))
    traces = [tmp_path / f"{rank}.json" for rank in (0, 1)]
    status, output = profile("convert", *traces, "--log-dir", tmp_path, "--run", "run", "--summary")
    assert status == 0, output
    assert len(list((tmp_path / "run").glob("plugins/profile/step_000500/rank*.xplane.pb"))) == 2
    assert mb.read(tmp_path / "run")["."].scalars["profile/step_ms"].step.tolist() == [500]


def test_a_trace_that_cannot_be_written_leaves_no_session(profile, trace, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("multiboard.profile.trace_files.write_space", full)
    status, output = profile("convert", trace, "--log-dir", tmp_path / "runs")
    assert (status, "No space left" in output) == (1, True)
    assert not list((tmp_path / "runs" / "plugins" / "profile").iterdir())


def test_mistakes_are_told_in_a_sentence(profile, trace, tmp_path):
    wrong = tmp_path / "wrong.json"
    wrong.write_text('{"traceEvents": []}')
    empty = tmp_path / "empty"
    empty.mkdir()
    nothing = tmp_path / "nothing.xplane.pb"
    nothing.touch()
    wrong_ones = [("summary", one) for one in (wrong, empty, nothing)]
    for arguments in (*wrong_ones, ("convert", wrong, "--log-dir", tmp_path), ("convert", nothing, "--log-dir", tmp_path)):
        status, output = profile(*arguments)
        assert status == 1
        assert output.startswith("Error: ")
    assert profile("convert", empty)[0] == 1
    status, output = profile("convert", trace)
    assert status == 2
    assert "--log-dir is missing" in output
