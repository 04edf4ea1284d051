"""What the Compare tab takes from each of TensorBoard's two readers, beside what `multiboard.read` finds in the files."""

import time
import types
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing import data_ingester
from tensorboard.context import RequestContext
from tensorboard.data import grpc_provider, server_ingester
from tensorboard.data.provider import RunTagFilter
from tensorboard.util import grpc_util

import multiboard as mb
from multiboard import dashboard
from multiboard.bucket_rows import BucketRows
from multiboard.buckets import measure
from multiboard.page import parts
from multiboard.page.pack import pack
from multiboard_tensorboard import listing, sampling
from multiboard_tensorboard.columns import LazyColumns
from multiboard_tensorboard.experiments import Experiment
from multiboard_tensorboard.hparams import is_of_multiboard
from multiboard_tensorboard.portions import Portions

SAMPLES = {plugin: int(count) for plugin, count in (one.split("=") for one in dashboard.SAMPLES.partition("=")[2].split(","))}
"""What `multiboard serve` makes TensorBoard keep."""
KINDS = {kind.name: kind for kind in listing.KINDS}
STEPS = 40
LONG = 900
"""Histograms of one tag beyond all that TensorBoard keeps unless it is told to."""


@pytest.fixture(scope="module")
def log_dir(tmp_path_factory):
    """Two runs of multiboard and one of TensorFlow."""
    top = tmp_path_factory.mktemp("readers")
    one_value = measure(np.ones(1))
    for name, shift in (("one", 0.0), ("two", 1.0)):
        with mb.Run(top / name, config={"lr": 0.5, "note": "\u00fc"}) as run:
            for step in range(STEPS):
                run.log({"loss": shift + step, "odd": [float("nan"), float("inf"), -0.0][step % 3]}, step)
                for layer in range(12):
                    run.histogram(f"params/l{layer}/kernel", measure(np.linspace(-1 - layer, step + shift, 50)), step)
                run.tensor("raw", np.full((2, 2), step, np.int32), step)
            run.histogram("hard", [float("nan")], 0)
            run.histogram("hard", measure(np.ones(3)), 1)
            run.histogram("hard", large(measure(np.ones(3))), 2)
            for step in range(LONG):
                run.histogram("long", one_value, step)
            for step in range(0, 3 * STEPS, 3):
                run.text("note", f"<b>\u00fc</b> {step}", step)
                run.image("picture", np.full((2, 3), step / 200), step)
                run.audio("clip", np.full(9, step / 200), step, sample_rate=8000)
    with tf.summary.create_file_writer(str(top / "foreign")).as_default(step=0):
        tf.summary.scalar("loss", 1.0)
        tf.summary.histogram("weights", tf.range(9.0))
    return top


def large(statistics):
    """Return more values of the same kind than float32 can count."""
    return replace(statistics, counts=statistics.counts * 2**23 + statistics.counts)


def fast(directory, samples):
    ingester = server_ingester.SubprocessServerDataIngester(
        server_ingester.get_server_binary(),
        str(directory),
        reload_interval=1,
        channel_creds_type=grpc_util.ChannelCredsType.LOCAL,
        samples_per_plugin=samples,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # of a process that it leaves running
        ingester.start()
    return ingester, None


def slow(directory, samples):
    flags = types.SimpleNamespace(
        logdir=str(directory), logdir_spec="", samples_per_plugin=samples, purge_orphaned_data=True, max_reload_threads=1,
        reload_multifile=False, detect_file_replacement=None, reload_interval=0, reload_task="blocking",
    )  # fmt: skip
    ingester = data_ingester.LocalDataIngester(flags)
    ingester.start()
    return ingester, ingester.deprecated_multiplexer


@pytest.fixture(params=[fast, slow], scope="module")
def reader(request, log_dir):
    """One of the two readers, when it has read everything."""
    ingester, multiplexer = request.param(log_dir, SAMPLES)
    found = types.SimpleNamespace(provider=ingester.data_provider, multiplexer=multiplexer, name=request.param.__name__)
    deadline = time.monotonic() + 60
    while not complete(found):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    yield found
    if request.param is fast:
        ingester._stdin_handle.close()


def complete(reader):
    listed = provided(reader).list_tags(KINDS["audios"])
    return [listed[run]["clip"].max_step for run in ("one", "two") if run in listed] == [3 * STEPS - 3] * 2


def provided(reader):
    return listing.Provided(reader.provider, "", RequestContext(), reader.multiplexer)


def columns(of, kind, run):
    listed = of.list_tags(KINDS[kind])[run]
    return of.read(KINDS[kind], run, listed, list(listed))


def read_all(listed, portions):
    columns = LazyColumns(dict.fromkeys(sorted(listed), ((1, 1.0), "")), portions)
    columns.load()
    return columns.loaded()


def same(ours, theirs):
    np.testing.assert_array_equal(ours.step, theirs.step)
    np.testing.assert_array_equal(ours.wall_time, theirs.wall_time)
    assert ours.description == theirs.description
    assert len(ours.value) == len(theirs.value)
    for one, other in zip(ours.value, theirs.value, strict=True):
        np.testing.assert_array_equal(one, other)
        assert np.asarray(one).dtype == np.asarray(other).dtype


@pytest.mark.parametrize("kind", KINDS)
def test_columns_are_those_of_the_files(reader, log_dir, kind):
    of_files = getattr(mb.read(log_dir)["one"], kind)
    found = columns(provided(reader), kind, "one")
    assert found.keys() == of_files.keys()
    assert found
    for tag, column in found.items():
        same(column, of_files[tag])


@pytest.mark.parametrize("kind", ["scalars", "histograms"])
def test_the_shorter_way_and_the_provider_give_the_same(reader, kind):
    short, public = provided(reader), provided(reader)
    assert short._shortcut is not None
    public._shortcut = None
    for run in ("one", "foreign"):
        ours, theirs = columns(short, kind, run), columns(public, kind, run)
        assert ours.keys() == theirs.keys()
        assert ours
        for tag, column in ours.items():
            same(column, theirs[tag])


def test_another_version_of_tensorboard_without_the_private_names_is_asked_the_public_way(reader):
    renamed = types.SimpleNamespace(
        **{name: getattr(reader.provider, name) for name in dir(reader.provider) if not name.startswith("_")}
    )
    found = listing.Provided(renamed, "", RequestContext(), None)
    assert found._shortcut is None
    assert len(columns(found, "histograms", "one")["params/l0/kernel"]) == STEPS


def test_only_the_last_point_is_read_where_that_is_asked_for(reader):
    of = provided(reader)
    listed = of.list_tags(KINDS["histograms"])["one"]
    found = of.read(KINDS["histograms"], "one", listed, ["params/l3/kernel", "params/l4/kernel"], points=1)
    assert [list(column.step) for column in found.values()] == [[STEPS - 1], [STEPS - 1]]


def test_a_tag_that_has_gone_since_it_was_listed_is_left_out(reader):
    of = provided(reader)
    listed = of.list_tags(KINDS["scalars"])["one"]
    listed = {**listed, "gone": listed["loss"]}
    assert of.read(KINDS["scalars"], "one", listed, ["gone", "loss"]).keys() == {"loss"}
    assert len(read_all(listed, Portions(of, KINDS["scalars"], "one", listed))["gone"]) == 0


def test_runs_that_are_too_large_keep_points_at_common_steps(reader):
    of = provided(reader)
    kept, total = {}, {}
    for run, held in (("one", 60_000), ("two", 25_000)):
        listed = of.list_tags(KINDS["histograms"])[run]
        read = Portions(of, KINDS["histograms"], run, listed, held=held)
        found = read_all(listed, read)
        total[run] = sum(column.value.nbytes for column in found.values())
        kept[run] = set(found["params/l3/kernel"].step.tolist())
        assert isinstance(found["params/l3/kernel"].value, BucketRows)
        assert read.stride > 1
        assert read.stride & (read.stride - 1) == 0
        assert STEPS - 1 in kept[run]
    assert kept["two"] < kept["one"] < set(range(STEPS))
    assert total["two"] < total["one"]


@pytest.mark.parametrize("reader", [fast], indirect=True)
def test_what_does_not_fit_into_one_answer_of_the_data_server_is_read_in_smaller_ones(reader, log_dir):
    credentials, options = grpc_util.ChannelCredsType.LOCAL.channel_config()
    options.append(("grpc.max_receive_message_length", 30_000))
    with grpc.secure_channel(reader.provider._addr, credentials, options=options) as channel:
        narrow = grpc_provider.GrpcDataProvider("", grpc_provider.make_stub(channel))
        of = listing.Provided(narrow, "", RequestContext())
        listed = provided(reader).list_tags(KINDS["histograms"])["one"]
        with pytest.raises(grpc.RpcError, match="larger than max"):
            of.read(KINDS["histograms"], "one", listed, sorted(listed))
        found = read_all(listed, Portions(of, KINDS["histograms"], "one", listed))
    of_files = mb.read(log_dir)["one"].histograms
    assert found.keys() == of_files.keys()
    assert list(found["long"].step) == [LONG - 1]
    for tag in set(found) - {"long"}:
        same(found[tag], of_files[tag])


def test_what_was_read_of_runs_that_nobody_looks_at_is_forgotten(reader, log_dir):
    of = provided(reader)
    experiment = Experiment(str(log_dir), sampling.Samples({}, fast=True), held=1)
    asked = {"kind": "params", "name": "l0/kernel"}
    experiment.part("histogram", asked, ["one"], of)
    first = experiment._runs["one"]
    experiment.part("histogram", asked, ["two"], of)
    assert first.nbytes > 0
    assert "one" not in experiment._runs
    experiment.part("histogram", asked, ["one"], of)
    assert experiment._runs["one"] is not first


def test_what_has_nothing_new_is_not_read_again(reader, log_dir):
    of = provided(reader)
    experiment = Experiment(str(log_dir), sampling.Samples({}, fast=True))
    experiment.part("runs", {}, [], of)
    before = dict(experiment._runs)
    experiment.part("curve", {"tag": "loss"}, ["one", "two"], of)
    board = experiment._choices["one", "two"].board
    experiment.part("runs", {}, [], of)
    assert all(experiment._runs[name] is run for name, run in before.items())
    experiment.part("curve", {"tag": "odd"}, ["one", "two"], of)
    assert experiment._choices["one", "two"].board is board


def test_what_several_ask_for_at_once_is_made_once(reader, log_dir, monkeypatch):
    made = []
    compare = parts.comparison.compare

    def counted(*runs, **rules):
        made.append(rules["names"])
        time.sleep(0.2)  # all others ask meanwhile
        return compare(*runs, **rules)

    monkeypatch.setattr(parts.comparison, "compare", counted)
    of = provided(reader)
    experiment = Experiment(str(log_dir), sampling.Samples({}, fast=True))
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: pack(experiment.part("comparison", {}, ["one", "two"], of)), range(6)))
    assert made == [("one", "two")]
    assert len(set(answers)) == 1


def test_the_overview_reads_a_few_histograms_of_many(reader, log_dir):
    experiment = Experiment(str(log_dir), sampling.Samples({}, fast=True))
    part = experiment.part("runs", {}, [], provided(reader))
    told = {run["name"]: run for run in part["runs"]}
    assert (told["one"]["steps"], told["one"]["captures"], told["one"]["parameters"]) == (LONG - 1, STEPS, 12 * 50)
    assert experiment._runs["one"].data.histograms.loaded().keys() == {"hard", "long", "params/l0/kernel"}
    assert not experiment._runs["one"].data.texts.loaded()
    assert not experiment._runs["one"].data.images.loaded()


def test_the_page_is_told_what_tensorboard_may_have_left_out(reader, log_dir):
    samples = sampling.Samples({**SAMPLES, "scalars": STEPS}, fast=reader.name == "fast")
    thinned = Experiment(str(log_dir), samples).part("runs", {}, [], provided(reader))["thinned"]
    (said,) = thinned
    assert said.startswith(f"TensorBoard keeps {STEPS} points of a curve, and may have left out others of one, two: ")


@pytest.mark.filterwarnings("ignore:html5lib:DeprecationWarning")
def test_the_tab_is_not_offered_for_runs_of_others(reader, log_dir):
    from multiboard_tensorboard.plugin import Plugin

    def active(runs):
        context = types.SimpleNamespace(data_provider=Only(reader.provider, runs), multiplexer=None, logdir=str(log_dir))
        return Plugin(context).is_active()

    assert active(["one", "foreign"])
    assert not active(["foreign"])
    assert not is_of_multiboard(b"run/version/torch")


def test_a_run_whose_name_is_no_text_is_asked_for_as_a_page_can(reader, log_dir):
    of = provided(Renamed(reader, "one", "one\udcff"))
    experiment = Experiment(str(log_dir), sampling.Samples({}, fast=True))
    assert [run["name"] for run in experiment.part("runs", {}, [], of)["runs"]] == ["foreign", "one\ufffd", "two"]
    asked = {"kind": "params", "measure": "emd", "run": "one\ufffd"}
    assert experiment.part("heat", asked, ["two", "one\ufffd"], of)["rows"] == 12


def test_so_many_runs_as_would_take_minutes_are_refused(reader, log_dir):
    experiment = Experiment(str(log_dir), sampling.Samples({}, fast=True))
    experiment.part("runs", {}, [], provided(reader))
    experiment._runs |= {f"seed{number}": experiment._runs["one"] for number in range(60)}
    with pytest.raises(mb.ArgumentError, match="60 names"):
        experiment.part("curve", {"tag": "loss"}, [f"seed{number}" for number in range(60)], provided(reader))


class Renamed:
    """A reader that calls one of its runs otherwise."""

    multiplexer = None

    def __init__(self, reader, name, called):
        self.provider, self._reader, self._name, self._called = self, reader.provider, name, called

    def list_runs(self, context, **query):
        runs = self._reader.list_runs(context, **query)
        return [types.SimpleNamespace(run_name=self._called if run.run_name == self._name else run.run_name) for run in runs]

    def __getattr__(self, verb):
        def ask(context, *, run_tag_filter, **query):
            wanted = run_tag_filter.runs and {self._name if run == self._called else run for run in run_tag_filter.runs}
            found = getattr(self._reader, verb)(context, run_tag_filter=RunTagFilter(wanted, run_tag_filter.tags), **query)
            return {self._called if run == self._name else run: tags for run, tags in found.items()}

        if not verb.startswith(("list_", "read_")):
            raise AttributeError(verb)
        return ask


class Only:
    """A provider that tells of some runs only."""

    def __init__(self, provider, runs):
        self._provider, self._runs = provider, runs

    def list_runs(self, context, **query):
        return [run for run in self._provider.list_runs(context, **query) if run.run_name in self._runs]

    def list_tensors(self, context, **query):
        return {run: tags for run, tags in self._provider.list_tensors(context, **query).items() if run in self._runs}
