"""The Compare tab in TensorBoard itself, with each of its two loaders."""

import pytest

pytestmark = pytest.mark.browser


@pytest.fixture(params=["fast", "slow"])
def board(request, tabs):
    return tabs[request.param]


@pytest.fixture
def tab(page, board):
    """The frame of the tab, chosen as a person does."""
    page.goto(board.address)
    page.locator("[data-plugin-id=multiboard], mat-tab-header >> text=Compare").first.click()
    frame = page.frame_locator("iframe")
    frame.locator(".verdict").wait_for()
    return frame


def test_it_appears_and_says_where_the_runs_part(page, tab, compared):
    assert page.url.endswith("#multiboard")
    baseline = tab.get_by_label("Baseline", exact=True)
    baseline.select_option("torch")
    row = tab.locator("#panel-divergence tbody tr", has_text=compared.divergence[0].name).first
    row.wait_for()
    tab.locator("#panel-runs").scroll_into_view_if_needed()
    tab.locator("#panel-scalars").scroll_into_view_if_needed()
    tab.locator("#panel-scalars .card canvas").first.wait_for()


def test_another_baseline_and_other_runs_are_compared_at_once(tab):
    tab.get_by_label("Baseline", exact=True).select_option("torch")
    tab.locator(".verdict", has_text="from torch").wait_for()
    tab.get_by_label("Baseline", exact=True).select_option("keras")
    tab.locator(".verdict", has_text="from keras").wait_for()
    tab.locator(".chip", has_text="flax").click()
    tab.locator(".verdict:not(.bad)").wait_for()
    assert "flax" not in tab.locator(".verdict").inner_text()
    tab.get_by_role("button", name="Reload").click()
    tab.locator(".verdict", has_text="torch").wait_for()


def test_it_turns_dark_with_the_dashboard(page, tab):
    brightest = "() => Math.max(...getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3))"
    frame = page.locator("iframe").element_handle().content_frame()
    assert frame.evaluate(brightest) > 200
    page.evaluate("() => document.body.classList.add('dark-mode')")
    frame.wait_for_function(f"() => ({brightest})() < 60")
    tab.locator("#panel-scalars").scroll_into_view_if_needed()
    tab.locator("#panel-scalars .card canvas").first.wait_for()
