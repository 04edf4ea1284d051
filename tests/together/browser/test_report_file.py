"""The report is one file that opens without a network, and a notebook shows the same page."""

import pytest

import multiboard as mb

pytestmark = pytest.mark.browser

SECTIONS = "() => [...document.querySelectorAll('main section')].map(section => section.id)"
PANELS = ["divergence", "runs", "layers", "histograms", "norms", "scalars", "graph", "profile", "media"]


def test_it_asks_for_nothing_and_complains_of_nothing(page, requests, report_file, walk):
    said = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(report_file.as_uri())
    page.wait_for_selector("main section")
    walk(page)
    assert page.evaluate(SECTIONS) == [f"panel-{name}" for name in PANELS]
    assert [one for one in requests if not one.startswith(("blob:", "data:"))] == [report_file.as_uri()]
    assert said == []


def test_it_opens_offline_from_a_file_of_any_name(page, runs, tmp_path):
    saved = mb.show(*runs.values()).save(tmp_path / "über uns #1 100%.html")
    page.context.set_offline(True)
    page.goto(saved.as_uri())
    assert page.locator(".verdict").inner_text().startswith("flax parts from torch at step 10")


def test_a_view_can_be_sent_as_an_address(new_page, report_file):
    first = new_page()
    first.goto(report_file.as_uri())
    first.locator("#panel-layers").get_by_text("Octaves", exact=True).click()
    first.locator("#panel-divergence tbody tr").first.click()
    first.wait_for_function("() => location.hash.includes('layer=')")
    first.locator("#panel-scalars").scroll_into_view_if_needed()
    first.locator("#panel-scalars").get_by_text("log y").click()
    second = new_page()
    second.goto(first.url)
    second.locator("#panel-scalars").scroll_into_view_if_needed()
    assert second.locator("#panel-scalars").get_by_label("log y").is_checked()
    second.locator("#panel-norms").scroll_into_view_if_needed()
    picker = second.locator("#panel-norms select.wide")
    picker.wait_for()
    assert picker.input_value() == "block1/dense2/kernel"


def test_one_run_alone_has_all_that_needs_no_other(page, runs, tmp_path, walk):
    page.goto(mb.show(runs["torch"]).save(tmp_path / "one.html").as_uri())
    page.wait_for_selector("main section")
    walk(page)
    for panel in ("histograms", "scalars"):
        page.locator(f"#panel-{panel}").scroll_into_view_if_needed()
        page.locator(f"#panel-{panel} .chart canvas").nth(1).wait_for()
    assert page.locator("#panel-divergence").inner_text().strip()


def test_a_notebook_shows_the_page_in_a_frame(page, runs):
    page.set_content(f"<h1>converted</h1>{mb.show(*runs.values(), height=500)._repr_html_()}")
    frame = page.frame_locator("iframe")
    frame.locator(".verdict").wait_for()
    assert frame.locator(".verdict").inner_text().startswith("flax parts from torch at step 10")
    frame.locator("#panel-divergence tbody tr").first.click()
    frame.locator("#panel-norms").scroll_into_view_if_needed()
    frame.locator("#panel-norms .chart canvas").first.wait_for()


@pytest.mark.parametrize("width", [900, 1280, 1900])
def test_no_width_makes_the_page_scroll_sideways(page, report_file, width, walk):
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(report_file.as_uri())
    page.wait_for_selector("main section")
    walk(page)
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width
