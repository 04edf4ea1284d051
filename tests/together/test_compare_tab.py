"""The Compare tab over HTTP, from real TensorBoard with each of its two readers."""

import json
import re
import urllib.error
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest

import multiboard as mb
from multiboard.buckets import measure
from multiboard.page.pack import pack, unpack
from multiboard.page.parts import Board

TAB = "data/plugin/multiboard"
ODD = 'ü <b>&"#%?'
"""A name of a run that is text and nothing else."""
TAGS = ["../../x", "</script><script>alert(1)</script>", "train/loss", "\u202eabc\u2028\n"]
RUNS = ["flax", "torch"]
PARTS = {
    "comparison": {},
    "scalars": {},
    "profile": {},
    "media": {},
    "exact": {},
    "graph": {"run": "torch"},
    "heat": {"kind": "grads", "measure": "distance", "run": "torch"},
    "histogram": {"kind": "grads", "name": "enc0/kernel"},
    "norms": {"kind": "grads", "name": "enc1/kernel"},
    **{f"curve {number}": {"tag": tag} for number, tag in enumerate(TAGS)},
    **{f"medium {tag}": {"run": "flax", "step": "2", "tag": tag} for tag in ("picture", "clip", "note")},
}


def write(directory, shift, steps):
    rng = np.random.default_rng(7)
    with mb.Run(directory, config={"lr": 0.1 + shift, "seed": 3}) as run:
        for step in steps:
            run.log(dict.fromkeys(TAGS, 2.0 / (step + 1) + shift), step)
            for layer in range(3):
                values = (rng.standard_normal(200) * (1 + layer) + shift * step).astype(np.float32)
                for group in ("params", "grads"):
                    run.histogram(f"{group}/enc{layer}/kernel", measure(values), step)
                    run.scalar(f"norm/{group}/enc{layer}/kernel", np.linalg.norm(values), step)
            run.image("picture", rng.random((4, 5)), step)
            run.audio("clip", rng.uniform(-1, 1, 800), step, sample_rate=8000)
            run.text("note", f"<script>step {step}</script> \u00fc", step)
            run.tensor("raw", rng.standard_normal((2, 3)).astype(np.float32), step)


@pytest.fixture(scope="module")
def runs(own_board_dir):
    """Two runs to compare, and one with an odd name and nothing but a curve."""
    write(own_board_dir / "flax", 0.0, range(6))
    write(own_board_dir / "torch", 0.25, range(6))
    with mb.Run(own_board_dir / ODD) as run:
        run.scalar("train/loss", 1.0, 0)
    return own_board_dir


@pytest.fixture(scope="module")
def seen(runs):  # noqa: ARG001  # they are written
    """The loaders that have read all of the runs."""
    return set()


@pytest.fixture
def tab(seen, own_board):
    """TensorBoard, with all of the runs read."""
    if own_board.loader not in seen:
        whole = {"flax", "torch", ODD}
        own_board.wait_for(lambda: told(own_board), lambda runs: {one["name"] for one in runs if one["steps"] in {0, 5}} >= whole)
        own_board.wait_for(lambda: part(own_board, "media", RUNS), lambda found: ended(found["tags"]))
        seen.add(own_board.loader)
    return own_board


def ended(tags):
    return len(tags) == 3 and all(list(steps) == list(range(6)) for tag in tags for steps in tag["runs"].values())


def raw(board, name, names=None, /, **query):
    if names is not None:
        query["runs"] = json.dumps(names)
    return board.bytes(f"{TAB}/part/{name}", **query)[0]


def part(board, name, names=None, /, **query):
    return unpack(raw(board, name, names, **query))


def told(board):
    return part(board, "runs")["runs"]


def refusal(board, path, method="GET"):
    """Return the status and the text of an answer that is none."""
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(urllib.request.Request(board.address + path, method=method), timeout=30)
    with caught.value as answer:
        return answer.code, answer.read().decode()


def test_the_tab_is_offered_where_multiboard_has_written(tab):
    offered = tab.json("data/plugins_listing")["multiboard"]
    assert (offered["enabled"], offered["tab_name"]) == (True, "Compare")
    assert offered["loading_mechanism"] == {"type": "IFRAME", "module_path": f"/{TAB}/static/index.js"}


def test_the_tab_is_offered_while_a_run_of_mere_curves_is_going_on(tmp_path, serving):
    with mb.Run(tmp_path / "runs" / "live") as run, serving(tmp_path / "runs", tmp_path, tensorflow=False) as started:
        run.scalar("train/loss", 1.0, 0)
        run.flush()
        for board in started.values():
            ask = partial(board.ready().json, "data/plugins_listing")
            listing = board.wait_for(ask, lambda found: found["scalars"]["enabled"])
            assert listing["multiboard"]["enabled"]


def test_the_page_is_one_module_and_one_style_sheet_each_served_with_its_type(tab):
    module, kind = tab.bytes(f"{TAB}/static/index.js")
    assert kind.split(";")[0] == "text/javascript"
    assert module.decode().endswith("export const render = multiboard.render;\n")
    assert set(re.findall(r'"(static/[^"]*)"', module.decode())) == {"static/style.css"}
    assert tab.bytes(f"{TAB}/static/style.css")[1].startswith("text/css")


@pytest.mark.parametrize("name", PARTS)
def test_a_part_is_byte_by_byte_that_of_the_files(tab, runs, name):
    kind = name.split()[0]
    read = mb.read(runs)
    of_files = Board({run: read[run] for run in RUNS}).part(kind, PARTS[name])
    assert raw(tab, kind, RUNS, **PARTS[name]) == pack(of_files)


def test_all_runs_are_told_of_as_their_files_tell(tab, runs):
    of_files = Board(dict(sorted(mb.read(runs).items()))).part("runs")
    shown = part(tab, "runs")
    assert shown == unpack(pack(of_files | {"thinned": []}))
    assert [run["name"] for run in shown["runs"]] == sorted(["flax", "torch", ODD])


def test_the_baseline_is_the_first_run_that_is_named(tab):
    assert part(tab, "comparison", ["torch", "flax"])["names"] == ["torch", "flax"]
    series = part(tab, "curve", [ODD, "torch"], tag="train/loss")["series"]
    assert [one["run"] for one in series] == [ODD, "torch"]


def test_many_who_ask_at_once_get_the_same_answer(tab):
    names = ["torch", ODD, "flax"]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: raw(tab, "comparison", names), range(8)))
    assert len(set(answers)) == 1
    assert unpack(answers[0])["names"] == names


def test_new_points_and_new_runs_show_when_the_page_looks_again(runs, tab):
    live = f"live-{tab.loader}"
    with mb.Run(runs / live) as run:
        run.scalar("train/loss", 1.0, 0)
        run.flush()
        tab.wait_for(lambda: {one["name"]: one["steps"] for one in told(tab)}[live], lambda step: step == 0)
        before = part(tab, "curve", [live], tag="train/loss")["series"][0]
        run.scalar("train/loss", 0.5, 7)
        run.scalar("val/loss", 0.5, 7)
        run.flush()
        tab.wait_for(lambda: {one["name"]: one["steps"] for one in told(tab)}[live], lambda step: step == 7)
        after = part(tab, "curve", [live], tag="train/loss")["series"][0]
        assert (list(before["step"]), list(after["step"])) == ([0], [0, 7])
        assert {one["tag"] for one in part(tab, "scalars", [live])["tags"]} == {"train/loss", "val/loss"}


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("part/nonsense?runs=[%22flax%22]", "the parts are runs, comparison"),
        ("part/heat?runs=[%22flax%22,%22torch%22]", "needs kind and measure and run"),
        ("part/heat?runs=[%22flax%22,%22torch%22]&kind=grads&measure=x&run=torch", "measure"),
        ("part/curve?runs=[%22flax%22]&tag=train/los", "Did you mean 'train/loss'"),
        ("part/curve?runs=[%22flax%22]&tag=%ED%A0%80", "tag"),
        ("part/comparison", "name each run once"),
        ("part/comparison?runs=flax", "a JSON list"),
        ("part/comparison?runs=[1]", "a JSON list"),
        ("part/comparison?runs=[%22flax%22,%22flax%22]", "name each run once"),
        ("part/comparison?runs=[%22../flax%22]", "no such run"),
        ("part/comparison?runs=[%22%5Cud800%22]", "no such run"),
        ("part/graph?runs=[%22flax%22,%22torch%22]&run=..%2F..%2Fx", "run"),
        ("part/medium?runs=[%22flax%22]&run=flax&step=x&tag=note", "step"),
    ],
)
def test_a_request_that_is_no_good_gets_a_sentence_and_no_traceback(tab, path, says):
    code, text = refusal(tab, f"{TAB}/{path}")
    assert code == 400
    assert says in text
    assert "Traceback" not in text
    assert "File " not in text


@pytest.mark.parametrize(
    "path",
    ["static/../parts.py", "static/%2e%2e/parts.py", "static/..%2fparts.py", "static/", "static", "static/vendor/../../pack.py"],
)
def test_no_file_but_those_of_the_page_is_served(tab, path):
    url = urllib.request.Request(tab.address, method="GET")
    url.full_url = f"{tab.address}{TAB}/{path}"
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(url, timeout=30)
    with caught.value as answer:
        assert answer.code == 404


@pytest.mark.parametrize("path", ["part/runs", "static/index.js"])
def test_nothing_can_be_sent_to_the_tab(tab, path):
    assert refusal(tab, f"{TAB}/{path}", "POST")[0] == 405
    assert refusal(tab, f"{TAB}/{path}", "DELETE")[0] == 405
