"""Tensors that runs kept element by element, on the page."""

import numpy as np
import pytest

import multiboard as mb
from multiboard.page.pack import unpack

pytestmark = pytest.mark.browser

NAMES = [f"block{number}/kernel" for number in range(12)]
KINDS = ("params", "grads")
STEPS = (0, 5)
IDS = "() => [...document.querySelectorAll('main section')].map(section => section.id)"
LINKS = "() => [...document.querySelectorAll('.contents button')].map(link => link.textContent)"


def train(directory, seed=0, turned=None, factor=1.0):
    """Write kernels as a watch would; `seed` makes the rounding, one kernel may be transposed, and gradients larger."""
    random = np.random.default_rng(seed)
    with mb.Run(directory) as run:
        for step in STEPS:
            for number, (kind, name) in enumerate((kind, name) for kind in KINDS for name in NAMES):
                kernel = np.random.default_rng(number).normal(size=(8, 8)).astype(np.float32)
                if (kind, name) == turned:
                    kernel = kernel.T.copy()
                if (kind, name) == ("grads", NAMES[2]):
                    kernel *= np.float32(factor)
                values = kernel * (1 + random.normal(size=(8, 8)) * (1e-7 if seed else 0) * (1 + step)).astype(np.float32)
                layer = name.removesuffix("/kernel")
                run.histogram(f"{kind}/{name}", values, step, description=f"`{layer}.kernel` of Dense")
                run.log({f"norm/{kind}/{name}": float(np.linalg.norm(values))}, step)
                run.tensor(f"exact/{kind}/{name}", values, step, description=f"`{layer}.kernel` of Dense; float32 [8, 8]")
    return directory


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Directories of a baseline, of a run with a transposed kernel, and of a reference without a mistake that both make."""
    above = tmp_path_factory.mktemp("exact")
    return {
        "base": train(above / "base", factor=1.3),
        "other": train(above / "other", 1, ("params", NAMES[3]), 1.3),
        "double": train(above / "double"),
    }


@pytest.fixture(scope="module")
def exact_report(trained, tmp_path_factory):
    saved = tmp_path_factory.mktemp("report") / "exact.html"
    return mb.show(trained["base"], trained["other"], oracle=trained["double"]).save(saved)


@pytest.fixture
def panel(page, exact_report):
    """The panel of a report of two runs, when it has been filled."""
    return shown(page, exact_report)


def shown(page, saved, fragment=""):
    page.goto(f"{saved.as_uri()}#{fragment}")
    found = page.locator("#panel-exact")
    found.scroll_into_view_if_needed()
    found.locator("tbody tr").first.wait_for()
    return found


def texts(panel):
    return [row.locator("td").all_inner_texts() for row in panel.locator("tbody tr").all()]


def test_the_table_has_the_numbers_of_the_first_step_with_the_most_different_first(panel, trained, number):
    found = mb.compare(trained["base"], trained["other"])
    expected = sorted((row for row in found.exact if row.step == 0), key=lambda row: -row.relative_l2)
    rows = texts(panel)
    assert len(rows) == len(expected) == len(NAMES) * len(KINDS)
    assert rows[0][:2] == ["params", NAMES[3]]
    for cells, row in zip(rows, expected, strict=True):
        assert cells[:2] == [row.kind, row.name]
        told = [number(cell) for cell in (cells[2], *cells[4:])]
        assert told == pytest.approx([row.relative_l2, row.max_error, row.ulp_median, row.ulp_max], rel=1e-2)


def test_a_cosine_near_one_tells_what_it_lacks(panel, trained, number):
    rows = {(row.kind, row.name): row.cosine for row in mb.compare(trained["base"], trained["other"]).exact if row.step == 0}
    for kind, name, _, cosine, *_ in texts(panel):
        told = 1 - number(cosine.removeprefix("1 \N{MINUS SIGN} ")) if cosine.startswith("1 \N{MINUS SIGN} ") else number(cosine)
        assert told == pytest.approx(rows[kind, name], rel=1e-3)
    assert any(cells[3].startswith("1 \N{MINUS SIGN} ") for cells in texts(panel))


def test_bars_are_longer_for_larger_differences_by_powers_of_ten(panel, number):
    lengths = panel.locator(".meter i").evaluate_all("bars => bars.map(bar => parseFloat(bar.style.width))")
    sizes = [number(cells[2]) for cells in texts(panel)]
    assert lengths == sorted(lengths, reverse=True)
    assert lengths == [pytest.approx(100 * min(1, 1 + np.log10(size) / 8), abs=1) for size in sizes]
    assert lengths[0] == 100
    assert 5 < lengths[1] < 30


def test_a_heading_sorts_the_rows_and_keeps_the_focus(page, panel):
    heading = panel.get_by_role("button", name="Tensor")
    heading.focus()
    page.keyboard.press("Enter")
    page.wait_for_function("() => location.hash.includes('exactOrder=name')")
    panel.locator("[aria-sort=ascending]", has_text="Tensor").wait_for()
    names = [cells[1] for cells in texts(panel)]
    assert names == [name for name in NAMES for _ in KINDS]
    assert page.evaluate("() => document.activeElement.dataset.sort") == "name"
    page.keyboard.press("Enter")
    panel.locator("[aria-sort=descending]").wait_for()
    assert [cells[1] for cells in texts(panel)] == names[::-1]


def test_kind_step_and_filter_choose_the_rows_and_can_be_sent_as_an_address(page, panel, new_page, exact_report):
    panel.get_by_text("grads", exact=True).first.click()
    panel.get_by_label("Step").select_option("all")
    page.get_by_label("Filter layers and tags").fill("block1/")
    page.wait_for_function("() => document.querySelectorAll('#panel-exact tbody tr').length === 2")
    rows = texts(panel)
    assert [cells[0] for cells in rows] == ["block1/kernel"] * 2
    assert sorted(cells[1] for cells in rows) == ["0", "5"]
    second = shown(new_page(), exact_report, page.url.partition("#")[2])
    assert texts(second) == rows


def test_a_row_shows_its_tensor_in_the_other_panels(page, panel):
    panel.locator("tbody tr").first.click()
    page.wait_for_function("() => location.hash.includes('layer=block3')")
    page.locator("#panel-norms select.wide").wait_for()
    assert page.locator("#panel-norms select.wide").input_value() == NAMES[3]


def test_what_was_found_by_element_and_what_both_have_wrong_is_marked(page, exact_report):
    page.goto(exact_report.as_uri())
    page.locator("#panel-divergence tbody tr").first.wait_for()
    told = page.locator("#panel-divergence").inner_text()
    (found,) = [row for row in page.locator("#panel-divergence tr").all_inner_texts() if "by element" in row]
    assert NAMES[3] in found
    (wrong,) = [row for row in page.locator("#panel-divergence tr").all_inner_texts() if "same wrong" in row]
    assert NAMES[2] in wrong
    assert "Against double" in told


def test_runs_without_elements_have_no_such_panel_and_no_entry_in_the_bar(page, exact_report, report_file):
    for saved, has in ((report_file, False), (exact_report, True)):
        page.goto(saved.as_uri())
        page.wait_for_selector("main section")
        assert ("panel-exact" in page.evaluate(IDS)) == has
        assert ("Element by element" in page.evaluate(LINKS)) == has


def test_at_900_pixels_the_page_does_not_scroll_sideways(new_page, exact_report):
    page = new_page(color_scheme="dark")
    page.set_viewport_size({"width": 900, "height": 800})
    shown(page, exact_report)
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 900


def test_the_tab_has_the_panel_as_soon_as_two_runs_have_elements(page, own_board_dir, own_boards):
    board = own_boards["fast"].ready()

    def told():
        packed, _ = board.bytes("data/plugin/multiboard/part/runs")
        return {one["name"]: one["exact"] for one in unpack(packed)["runs"]}

    train(own_board_dir / "base", factor=1.3)
    board.wait_for(told, lambda found: found == {"base": True})
    page.goto(f"{board.address}data/plugin_entry.html?name=multiboard")
    page.wait_for_selector("main section")
    assert "panel-exact" not in page.evaluate(IDS)
    train(own_board_dir / "other", 1, ("params", NAMES[3]), 1.3)
    board.wait_for(told, lambda found: found == {"base": True, "other": True})
    page.get_by_role("button", name="Reload").click()
    page.wait_for_selector("#panel-exact")
    panel = page.locator("#panel-exact")
    panel.scroll_into_view_if_needed()
    panel.locator("tbody tr").first.wait_for()
    assert texts(panel)[0][:2] == ["params", NAMES[3]]
    assert page.evaluate(LINKS).count("Element by element") == 1
    assert len(page.evaluate(IDS)) == len(set(page.evaluate(IDS))) == len(page.evaluate(LINKS))
