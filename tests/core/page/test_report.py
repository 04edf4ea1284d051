"""Runs as one HTML file."""

import base64
import gzip
import hashlib
import re
from html.parser import HTMLParser

import numpy as np
import pytest

import multiboard as mb
from multiboard.page.archive import key
from multiboard.page.limits import IN_FILE
from multiboard.page.pack import pack, unpack
from multiboard.page.parts import Board
from multiboard.page.report import report

EVIL = [
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "a\u2028b",
    "'\"><img src=x onerror=alert(1)>",
    "$&{0}",
    "../../x",
]


class Elements(HTMLParser):
    """The elements of a page with their texts, as a browser cuts them."""

    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes), ""))

    def handle_endtag(self, tag):
        self.found.append((f"/{tag}", {}, ""))

    def handle_data(self, data):
        if self.found and self.found[-1][0][0] != "/":
            tag, attributes, text = self.found[-1]
            self.found[-1] = tag, attributes, text + data

    def texts(self, tag):
        return [text for name, _, text in self.found if name == tag]


def opened(page, id_):
    (text,) = [text for _, attributes, text in Elements(page).found if attributes.get("id") == id_]
    return gzip.decompress(base64.b64decode(text))


@pytest.fixture
def page(board):
    """A function that makes a report of three runs, one of which parts from the baseline."""
    return lambda **options: report(board(fixed=True, **({"limits": IN_FILE} | options)))


def test_a_report_of_almost_nothing_has_at_most_120_kb(tmp_path):
    with mb.Run(tmp_path, facts=False) as run:
        run.log({"x": 1.0}, 0)
    assert len(report(Board({"a": mb.read(tmp_path)["."]}, fixed=True)).encode()) <= 120_000


def test_the_same_runs_make_the_same_bytes(runs):
    given = runs(base={}, other={"wrong_from": 1})
    assert report(Board(given)) == report(Board(given))


def test_all_parts_are_in_the_page_as_the_board_gives_them(board):
    shown = board(fixed=True, limits=IN_FILE)
    parts = unpack(opened(report(shown), "archive"))["parts"]
    for name, query in (
        ("curve", {"tag": "train/loss"}),
        ("heat", {"kind": "grads", "measure": "emd", "run": "other"}),
        ("histogram", {"kind": "grads", "name": "second/kernel"}),
        ("norms", {"kind": "grads", "name": ""}),
        ("medium", {"run": "other", "step": "3", "tag": "val/examples"}),
        ("graph", {"run": "same"}),
    ):
        np.testing.assert_equal(parts[key(name, query)], unpack(pack(shown.part(name, query))))
    assert {"runs", "comparison", "scalars", "profile", "media", "exact"} <= parts.keys()
    assert parts["runs"]["fixed"] is True


def test_measures_of_which_nothing_is_known_take_no_place(page):
    parts = unpack(opened(page(), "archive"))["parts"]
    assert "heat?kind=grads&measure=distance&run=other" in parts
    assert "heat?kind=grads&measure=update_ratio&run=other" not in parts


def test_only_the_two_scripts_of_the_page_may_run_and_nothing_may_be_loaded(page):
    text = page()
    (policy,) = [one["content"] for tag, one, _ in Elements(text).found if one.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; ")
    allowed = re.search(r"script-src ([^;]*)", policy)[1].split()
    program = opened(text, "program")
    last = Elements(text).texts("script")[-1].encode()
    digests = [base64.b64encode(hashlib.sha256(code).digest()).decode() for code in (program, last)]
    assert allowed == [f"'sha256-{digest}'" for digest in digests]
    for tag, attributes, _ in Elements(text).found:
        assert not attributes.keys() & {"src", "href", "srcset", "data", "action"}, tag


@pytest.mark.parametrize("evil", EVIL)
def test_names_tags_and_texts_that_look_like_code_change_nothing_of_the_page(tmp_path, evil):
    harmless = len(evil) * "x"
    pages = []
    for text in (evil, harmless):
        directory = tmp_path / hashlib.sha256(text.encode()).hexdigest()
        with mb.Run(directory, config={text: text}, facts=False) as run:
            run.log({text: 1.0, f"norm/grads/{text}/kernel": 1.0}, 0)
            run.text(f"notes/{text}", text, 0)
        pages.append(report(Board({text: mb.read(directory)["."]}, fixed=True), title=text))
    shapes = [[(tag, sorted(attributes)) for tag, attributes, _ in Elements(one).found] for one in pages]
    assert shapes[0] == shapes[1]
    assert Elements(pages[0]).texts("title")[0].strip() == evil
    parts = unpack(opened(pages[0], "archive"))["parts"]
    assert parts[key("curve", {"tag": evil})]["series"][0]["run"] == evil
    assert parts["runs"]["runs"][0]["config"] == {evil: evil}


def test_the_title_names_the_first_runs_and_counts_the_others(runs):
    given = runs(**{f"run{number}": {"steps": 1, "media": False} for number in range(6)})
    assert "<title>run0 · run1 · run2 · run3 and 2 more</title>" in report(Board(given))


def test_keys_are_written_as_a_browser_writes_them():
    assert key("curve", {"tag": "a b/ü&=?#+%!~*'()\"<"}) == "curve?tag=a%20b%2F%C3%BC%26%3D%3F%23%2B%25!~*'()%22%3C"
    assert key("heat", {"run": "b", "kind": "a"}) == "heat?kind=a&run=b"
    assert key("runs", {}) == "runs"


def test_half_a_surrogate_pair_is_written_as_a_browser_sends_it(runs):
    assert key("heat", {"run": "a\ud800b", "kind": "\udcff"}) == "heat?kind=%EF%BF%BD&run=a%EF%BF%BDb"
    assert key("curve", {"tag": "\ud83d\ude00"}) == key("curve", {"tag": "\N{GRINNING FACE}"})
    (given,) = runs(base={"steps": 1, "media": False}).values()
    page = report(Board({"a\udcff": given, "\ud800": given}, fixed=True))
    assert "graph?run=%EF%BF%BD" in unpack(opened(page, "archive"))["parts"]
    assert "<title>a\ufffd · \ufffd</title>" in page


def test_few_tensors_have_histograms_and_norms_in_a_file_if_that_is_asked_for(page):
    parts = unpack(opened(page(limits=IN_FILE._replace(tensors=1)), "archive"))["parts"]
    assert [name for name in parts if name.startswith("histogram")] == ["histogram?kind=grads&name=first%2Fkernel"]
    assert parts["comparison"]["tensors"] == {"grads": ["first/kernel"]}
    assert "of 1 of 2 tensors" in "".join(parts["runs"]["thinned"])


def test_the_licence_of_the_library_is_in_the_page(page):
    assert "Copyright (c) 2022 Leon Sorokin" in page()
