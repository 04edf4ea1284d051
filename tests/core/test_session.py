"""A run has one session: hyper-parameters and facts before the first value, a status at the end."""

import gc

import pytest

import multiboard as mb
from multiboard import proto
from multiboard.records import unframe


def tags_in_order(log_dir):
    (file,) = log_dir.iterdir()
    events = [proto.Event.FromString(payload) for payload in unframe(file.read_bytes(), [])]
    return [value.tag for event in events for value in event.summary.value]


START, EXPERIMENT, END = "_hparams_/session_start_info", "_hparams_/experiment", "_hparams_/session_end_info"
VALUES = {
    "scalar": lambda run: run.scalar("x", 1.0, 0),
    "log": lambda run: run.log({"x": 1.0}, 0),
    "text": lambda run: run.text("x", "text", 0),
    "tensor": lambda run: run.tensor("x", [1.0], 0),
    "layout": lambda run: run.layout({"a": {"b": ["Multiline", ["x"]]}}),
}


@pytest.mark.parametrize("first", VALUES)
def test_the_start_comes_with_the_first_value_and_the_end_is_last(log_dir, first):
    with mb.Run(log_dir, config={"lr": 0.1}) as run:
        assert START not in tags_in_order(log_dir)
        VALUES[first](run)
        assert run.flush()
        assert tags_in_order(log_dir).count(START) == 1
        run.log({"y": 1.0}, 1)
    tags = tags_in_order(log_dir)
    assert (tags.count(START), tags[-1], len(tags)) == (1, END, 4)


def test_hyper_parameters_that_come_late_are_written_at_once(log_dir):
    with mb.Run(log_dir) as run:
        run.log({"x": 1.0}, 0)
        run.hparams({"lr": 0.1})
        run.flush()
        assert mb.read(log_dir)["."].hparams == {"lr": 0.1}
    assert tags_in_order(log_dir) == ["x", START, END]


def test_flush_brings_hyper_parameters_to_the_file_also_of_child_runs(log_dir):
    with mb.Run(log_dir, config={"a": 1}) as run:
        run.child("trial").hparams({"b": 2})
        assert run.flush()
        found = mb.read(log_dir)
        assert found["."].hparams == {"a": 1}
        assert found["trial"].hparams == {"b": 2}
        assert found["."].status == ""


def test_a_run_that_is_forgotten_keeps_its_hyper_parameters(log_dir):
    run = mb.Run(log_dir, config={"a": 1})
    thread = run._pipeline._thread
    del run
    gc.collect()
    thread.join(10)
    assert mb.read(log_dir)["."].hparams == {"a": 1}


def test_without_hyper_parameters_the_end_writes_the_facts(log_dir):
    with mb.Run(log_dir) as run:
        run.log({"x": 1.0}, 0)
    data = mb.read(log_dir)["."]
    assert data.hparams == {}
    assert {"version/python", "command", "host"} <= data.facts.keys()
    assert data.status == "success"


def test_child_runs_have_a_session_only_if_they_have_hyper_parameters(log_dir):
    with mb.Run(log_dir) as run:
        run.child("validation").log({"x": 1.0}, 0)
    found = mb.read(log_dir)
    assert found["."].facts
    assert not found["validation"].facts
    assert found["validation"].status == ""


def test_a_run_above_sessions_has_no_row_of_its_own(log_dir):
    with mb.Run(log_dir) as run:
        for lr in (0.1, 0.2):
            with run.child(f"lr{lr}") as trial:
                trial.hparams({"lr": lr})
    found = mb.read(log_dir)
    assert not found["."].facts
    assert found["."].status == ""
    assert found["lr0.1"].facts == found["lr0.2"].facts != {}


def test_facts_can_be_turned_off(log_dir):
    with mb.Run(log_dir / "with", config={"lr": 0.1}, facts=False), mb.Run(log_dir / "without", facts=False):
        pass
    found = mb.read(log_dir)
    assert not found["with"].facts
    assert found["with"].hparams == {"lr": 0.1}
    assert found["without"].status == ""


def test_stated_facts_are_added_and_win_and_none_leaves_one_out(log_dir):
    stated = {"dataset": {"name": "digits", "size": 1797}, "host": None, "command": "mine"}
    mb.Run(log_dir, config={"seed": 7}, facts=stated).close()
    facts = mb.read(log_dir)["."].facts
    assert facts["dataset/name"] == "digits"
    assert facts["dataset/size"] == 1797
    assert facts["command"] == "mine"
    assert "host" not in facts
    assert "version/python" in facts


@pytest.mark.parametrize(
    ("config", "stated", "expected"), [({"seed": 7}, True, 7), ({"seed": 7}, {"seed": 8}, 8), ({}, True, None)]
)
def test_the_seed_is_what_the_user_says_or_absent(log_dir, config, stated, expected):
    mb.Run(log_dir, config=config, facts=stated).close()
    assert mb.read(log_dir)["."].facts.get("seed") == expected


def test_facts_are_no_other_thing(log_dir):
    with pytest.raises(mb.ArgumentError, match=r"'facts' got 'all'.*pass True, False"):
        mb.Run(log_dir, facts="all")
    assert not log_dir.exists()


@pytest.mark.parametrize("facts", [False, True])
def test_the_drop_in_writer_writes_facts_only_if_asked_for(log_dir, facts):
    with mb.SummaryWriter(log_dir, facts=facts) as writer:
        writer.add_hparams({"lr": 0.1}, {"hp": 1.0})
        writer.add_hparams({"lr": 0.2}, {"hp": 1.0}, run_name="trial")
    found = mb.read(log_dir)
    assert [found[name].hparams["lr"] for name in (".", "trial")] == [0.1, 0.2]
    assert all(("version/python" in found[name].facts) == facts for name in (".", "trial"))


CONFIG = {"lr": 0.1, "optimizer": {"name": "adam"}, "amp": True, "lost": float("nan")}
MISTAKES = {
    "unknown": ({"optimizer/nam": ["adam"]}, r"no hyper-parameter of the call\. Did you mean 'optimizer/name'\?"),
    "a number alone": ({"lr": 0.1}, r"\{'lr': 0\.1\}.*a tuple \(low, high\).*a list"),
    "three numbers": ({"lr": (0.1, 0.2, 0.3)}, r"a tuple \(low, high\)"),
    "high below low": ({"lr": (1.0, 0.1)}, r"a tuple \(low, high\)"),
    "endless": ({"lr": (0.0, float("inf"))}, r"a tuple \(low, high\)"),
    "interval of words": ({"optimizer": {"name": ("adam", "sgd")}}, r"a tuple \(low, high\)"),
    "words for a number": ({"lr": ["low", "high"]}, r"of the type of the hyper-parameter"),
    "numbers for a bool": ({"amp": [0, 1]}, r"of the type of the hyper-parameter"),
    "nothing": ({"lr": []}, r"a tuple \(low, high\)"),
    "no mapping": ([0.1], r"'domains' got \[0\.1\]"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_domain_that_does_not_fit_is_refused(log_dir, mistake):
    domains, message = MISTAKES[mistake]
    with mb.Run(log_dir) as run:
        with pytest.raises(mb.ArgumentError, match=message):
            run.hparams(CONFIG, domains=domains, metrics=[])
        run.hparams(CONFIG)  # the refused call has taken nothing
    assert mb.read(log_dir)["."].hparams["lr"] == 0.1


@pytest.mark.parametrize("metrics", ["val/accuracy", 3, [1], [""], {"val/accuracy": 1}])
def test_metrics_are_tags_or_names_by_tag(log_dir, metrics):
    with mb.Run(log_dir) as run, pytest.raises(mb.ArgumentError, match=r"'metrics' got .*pass tags"):
        run.hparams(CONFIG, metrics=metrics)


def test_domains_need_metrics_because_others_would_be_hidden(log_dir):
    with mb.Run(log_dir) as run, pytest.raises(mb.ArgumentError, match=r"'domains' got .*metrics=\['val/accuracy'\], or \[\]"):
        run.hparams(CONFIG, domains={"lr": [0.1, 0.2]})


def test_what_is_stated_is_written_once_and_what_is_not_stated_is_not(log_dir):
    with mb.Run(log_dir / "stated") as run:
        run.hparams(CONFIG, domains={"lost": [float("nan"), "off"]}, metrics={"x"})
    mb.Run(log_dir / "inferred", config=CONFIG).close()
    assert tags_in_order(log_dir / "stated") == [START, EXPERIMENT, END]
    assert tags_in_order(log_dir / "inferred") == [START, END]


@pytest.mark.parametrize("count", [1, 100])
def test_facts_alone_stay_out_of_a_run_whose_steps_would_break_the_tab(log_dir, count):
    with mb.Run(log_dir) as run:
        for step in range(count):
            run.log({"x": 1.0}, 2**31 + step)
    data = mb.read(log_dir)["."]
    assert (data.facts, data.status) == ({}, "")
    assert len(data.scalars["x"]) == count


def test_hyper_parameters_beside_such_steps_are_written_and_said(log_dir):
    with (
        pytest.warns(mb.MultiboardWarning, match="HParams tab of TensorBoard will fail"),
        mb.Run(log_dir, config={"a": 1}) as run,
    ):
        for step in range(3):
            run.log({"x": 1.0}, 2**40 + step)
    assert mb.read(log_dir)["."].hparams == {"a": 1.0}
