"""Sub-runs of add_hparams and add_scalars go into their run if asked and unambiguous; what a person named stays a run."""

import pytest

import multiboard as mb
from multiboard import proto
from multiboard.records import frame, unframe

FIRST, SECOND = "1700000000.25", "1700000001.5"


def write(directory, *points, hparams=None):
    """Write an event file with scalars (tag, number, step), and perhaps a session."""
    directory.mkdir(parents=True, exist_ok=True)
    events = []
    if hparams:
        made = proto.Event(wall_time=1.0)
        content = proto.HParams()
        for key, number in hparams.items():
            content.start.hparams.add(key=key).value.number_value = number
        value = made.summary.value.add(tag="_hparams_/session_start_info")
        value.metadata.plugin_data.plugin_name = "hparams"
        value.metadata.plugin_data.content = content.SerializeToString()
        events.append(made)
    for tag, number, step in points:
        events.append(proto.Event(wall_time=1.0 + step, step=step))
        events[-1].summary.value.add(tag=tag).simple_value = number
    (directory / "events.out.tfevents.1700000000.host").write_bytes(b"".join(frame(e.SerializeToString()) for e in events))


@pytest.fixture
def merged(tmp_path):
    """A function that converts the old directory with merging and returns the report and the new runs."""

    def convert():
        report = mb.convert(tmp_path / "old", tmp_path / "new", merge_sub_runs=True)
        return report, mb.read(tmp_path / "new")

    return convert


@pytest.fixture
def old(tmp_path):
    write(tmp_path / "old", ("loss", 1.0, 0))
    return tmp_path / "old"


def test_without_being_asked_all_runs_stay(old, tmp_path):
    write(old / FIRST, ("hp", 1.0, 0), hparams={"lr": 0.5})
    mb.convert(old, tmp_path / "new")
    assert list(mb.read(tmp_path / "new")) == [".", FIRST]


def test_hyper_parameters_and_their_metrics_go_into_the_run(old, merged):
    write(old / FIRST, ("hp", 2.0, 3), hparams={"lr": 0.5})
    report, runs = merged()
    assert list(runs) == ["."]
    assert runs["."].hparams == {"lr": 0.5}
    assert runs["."].scalars["hp"].step.tolist() == [3]
    assert (report.runs[FIRST].merged, report.runs[FIRST].path) == (True, report.out)


@pytest.mark.parametrize(
    ("directory", "main", "tag"),
    [
        ("loss_train", "loss", "loss/train"),
        ("a_loss_train", "a/loss", "a/loss/train"),
        ("loss_a_b", "loss", "loss/a_b"),
        ("a/loss/train", "a/loss", "a/loss/train"),
        ("loss/part/train", "loss", "loss/part/train"),
        ("loss (ä)/a b", "loss__ä_", "loss__ä_/a b"),
    ],
)
def test_a_series_becomes_a_tag(tmp_path, merged, directory, main, tag):
    write(tmp_path / "old", ("other", 1.0, 0))
    write(tmp_path / "old" / directory, *((main, float(step), step) for step in range(20)))
    _, runs = merged()
    assert list(runs) == ["."]
    assert runs["."].scalars[tag].value.tolist() == list(range(20))


@pytest.mark.parametrize(
    ("directory", "points"),
    [
        ("validation", [("loss", 1.0, 0)]),
        ("loss", [("loss", 1.0, 0)]),
        ("loss_", [("loss", 1.0, 0)]),
        ("loss_train", [("loss", 1.0, 0), ("accuracy", 1.0, 0)]),
        ("1700000000.5", [("loss", 1.0, 0)]),
    ],
)
def test_what_a_person_may_have_named_stays_a_run(old, merged, directory, points):
    write(old / directory, *points)
    report, runs = merged()
    assert list(runs) == [".", directory]
    assert not report.runs[directory].merged


def test_several_sets_of_hyper_parameters_stay_runs(old, merged):
    for name, lr in ((FIRST, 0.5), (SECOND, 0.25)):
        write(old / name, ("hp", lr, 0), hparams={"lr": lr})
    report, runs = merged()
    assert list(runs) == [".", FIRST, SECOND]
    assert [list(report.runs[name].notes) for name in (FIRST, SECOND)] == [
        ["it stays a run: there are several with hyper-parameters, and a run has one set."]
    ] * 2


def test_hyper_parameters_do_not_go_into_a_run_that_has_some(tmp_path, merged):
    write(tmp_path / "old", ("loss", 1.0, 0), hparams={"lr": 0.25})
    write(tmp_path / "old" / FIRST, ("hp", 2.0, 3), hparams={"lr": 0.5})
    report, runs = merged()
    assert {name: run.hparams for name, run in runs.items()} == {".": {"lr": 0.25}, FIRST: {"lr": 0.5}}
    assert list(report.runs[FIRST].notes) == ["it stays a run: the run that it belongs to has hyper-parameters itself."]


def test_a_tag_that_the_run_has_already_keeps_the_sub_run(old, merged):
    write(old / FIRST, ("loss", 2.0, 0), hparams={"lr": 0.5})
    report, runs = merged()
    assert list(runs) == [".", FIRST]
    assert list(report.runs[FIRST].notes) == ["it stays a run: 'loss' is a tag of the run that it belongs to, too."]


def test_two_series_of_one_name_do_not_mix(old, merged):
    """'a/b' with the series 'c', and 'a' with the series 'b_c', are the same directory names in torch."""
    write(old / "a_b_c", ("a/b", 1.0, 0))
    write(old / "a" / "b" / "c", ("a/b", 2.0, 0))
    report, runs = merged()
    assert sorted(runs) == [".", "a_b_c"]
    assert report.runs["a_b_c"].notes


def test_series_of_a_run_below_go_into_that_run(old, merged):
    write(old / "inner", ("x", 1.0, 0))
    write(old / "inner" / "loss_train", ("loss", 1.0, 0))
    _, runs = merged()
    assert list(runs) == [".", "inner"]
    assert sorted(runs["inner"].scalars) == ["loss/train", "x"]


def test_a_sub_run_of_a_sub_run_goes_into_the_run_above_both(old, merged):
    """As tensorboardX writes the series 'a' and 'a/b'."""
    write(old / "loss" / "a", ("loss", 1.0, 0))
    write(old / "loss" / "a" / "b", ("loss", 2.0, 0))
    _, runs = merged()
    assert list(runs) == ["."]
    assert [runs["."].scalars[tag].value.tolist() for tag in ("loss/a", "loss/a/b")] == [[1.0], [2.0]]


@pytest.mark.parametrize("seconds", [1, 1700000000, 1800000000])
def test_files_of_sub_runs_do_not_start_their_run_anew(tmp_path, old, merged, seconds):
    """TensorBoard's Python reader drops at a start what it has read of earlier files."""
    with mb.SummaryWriter(old / "own", sub_runs=True) as writer:
        writer.add_scalar("x", 1.0, 0)
        writer.add_hparams({"lr": 0.5}, {"hp": 2.0})
    (sub_run,) = (path for path in (old / "own").iterdir() if path.is_dir())
    (file,) = sub_run.iterdir()
    file.rename(sub_run / f"events.out.tfevents.{seconds:010d}.host")
    _, runs = merged()
    assert sorted(runs["own"].scalars) == ["hp", "x"]
    files = sorted((tmp_path / "new" / "own").iterdir())
    started = [proto.Event.FromString(p).HasField("session_log") for f in files for p in unframe(f.read_bytes(), [])]
    assert (started.count(True), started.index(True), len(files)) == (1, 1, 2)


def test_a_directory_without_a_run_above_it_stays_one(tmp_path, merged):
    write(tmp_path / "old" / "loss_train", ("loss", 1.0, 0))
    _, runs = merged()
    assert list(runs) == ["loss_train"]
