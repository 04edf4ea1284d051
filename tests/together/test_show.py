"""The page in a notebook."""

from html.parser import HTMLParser

import pytest

import multiboard as mb


class Frames(HTMLParser):
    """The attributes of the frames in a page."""

    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        if tag == "iframe":
            self.found.append(dict(attributes))


@pytest.fixture
def page(tmp_path):
    """The page of two runs, one of which has a name that looks like code."""
    for name, factor in (("a", 1.0), ("<b> & 'c' \"d\"", 1.5)):
        with mb.Run(tmp_path / name) as run:
            run.log({"train/loss": factor}, 0)
    return mb.show(tmp_path, baseline="a", height=400)


def test_a_cell_shows_the_whole_page_in_a_frame_of_its_own(page):
    (frame,) = Frames(page._repr_html_()).found
    assert frame["srcdoc"] == page.html
    assert frame["height"] == "400"
    assert frame["title"] == "a, <b> & 'c' \"d\""


def test_the_page_that_is_saved_is_the_same(page, tmp_path):
    assert page.save(tmp_path / "page.html").read_bytes() == page.html.encode()


def test_the_page_tells_what_it_compared(page):
    assert page.comparison.code == 1
    assert repr(page) == f"Page(a, <b> & 'c' \"d\"; {len(page.html) / 1000:.0f} kB)"


def test_one_run_is_shown_without_a_comparison(tmp_path):
    with mb.Run(tmp_path) as run:
        run.log({"x": 1.0}, 0)
    assert mb.show(tmp_path).comparison is None


@pytest.mark.parametrize("height", [0, True, "400px"])
def test_a_height_is_a_number_of_pixels(tmp_path, height):
    with mb.Run(tmp_path) as run:
        run.log({"x": 1.0}, 0)
    with pytest.raises(mb.ArgumentError, match="pass a number of pixels"):
        mb.show(tmp_path, height=height)
