"""A notebook that was converted to HTML still shows the page, and needs nothing but its file."""

import pytest

import multiboard as mb

pytestmark = pytest.mark.filterwarnings("ignore:IPython3? lexer unavailable:UserWarning")  # nbconvert without IPython


@pytest.fixture
def converted(runs, tmp_path):
    """The HTML that nbconvert makes of a notebook with one cell, whose value is the page."""
    from nbconvert.exporters import HTMLExporter
    from nbformat import v4

    shown = mb.show(*runs.values(), height=500)
    output = v4.new_output("execute_result", {"text/html": shown._repr_html_(), "text/plain": repr(shown)}, execution_count=1)
    notebook = v4.new_notebook(cells=[v4.new_code_cell("mb.show('runs')", execution_count=1, outputs=[output])])
    html, _ = HTMLExporter(template_name="basic").from_notebook_node(notebook)  # the others ask for styles elsewhere
    path = tmp_path / "notebook.html"
    path.write_text(f"<!doctype html><meta charset=utf-8>{html}", "utf-8")
    return path


def test_the_page_is_there_and_answers(page, converted):
    page.context.set_offline(True)
    page.goto(converted.as_uri())
    frame = page.frame_locator("iframe")
    assert frame.locator(".verdict").inner_text().startswith("flax parts from torch at step 10")
    frame.locator("#panel-divergence tbody tr").first.click()
    frame.locator("#panel-norms").scroll_into_view_if_needed()
    frame.locator("#panel-norms .chart canvas").first.wait_for()
