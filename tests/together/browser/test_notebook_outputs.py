"""The page is there wherever a notebook shows its outputs, also in one that was converted to HTML, and needs nothing else."""

from html import escape

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


def is_there_and_answers(frame):
    """Tell that a frame shows the page, that a click on it does something, and that it draws."""
    assert frame.locator(".verdict").inner_text().startswith("flax parts from torch at step 10")
    frame.locator("#panel-divergence tbody tr").first.click()
    frame.locator("#panel-norms").scroll_into_view_if_needed()
    frame.locator("#panel-norms .chart canvas").first.wait_for()
    return True


def test_a_converted_notebook_shows_the_page(page, converted):
    page.context.set_offline(True)
    page.goto(converted.as_uri())
    assert is_there_and_answers(page.frame_locator("iframe"))


# Of the page in which VS Code shows outputs, with `notebook.experimental.enableCsp`: vscode, backLayerWebView.ts.
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; img-src https: http: data:; "
    "font-src https:; connect-src https:; child-src https: data:"
)


def test_a_host_with_a_policy_for_its_contents_shows_the_page(page, runs):
    page.set_content(
        f'<!doctype html><meta http-equiv="Content-Security-Policy" content="{POLICY}"><body class="vscode-dark">'
        f"{mb.show(*runs.values())._repr_html_()}"
    )
    frame = page.frame_locator("iframe")
    assert is_there_and_answers(frame)
    assert frame.locator("html").get_attribute("data-theme") == "dark"


def test_a_host_that_shows_each_output_in_a_frame_of_another_origin_shows_the_page(page, runs):
    # Colab does so, with more permissions; here the frame may not even store anything.
    output = escape(f"<!doctype html>{mb.show(*runs.values())._repr_html_()}")
    page.set_content(f'<!doctype html><iframe sandbox="allow-scripts" width=1200 height=800 srcdoc="{output}"></iframe>')
    assert is_there_and_answers(page.frame_locator("iframe").frame_locator("iframe"))
