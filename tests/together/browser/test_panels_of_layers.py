"""Each panel about layers shows the numbers of the Python interface."""

import numpy as np
import pytest

pytestmark = pytest.mark.browser

NAME, STEP = "block1/dense2/kernel", 10
CELLS = 180
"""Into which the chart of histograms divides its axis."""
MEASURES = {
    "Over limit": lambda row: row.distance,
    "Distance": lambda row: row.emd,
    "Octaves": lambda row: row.octaves,
    "Norm": lambda row: row.norm_ratio,
    "Non-finite": lambda row: row.nonfinite_b - row.nonfinite_a,
}


def box_of(panel, at=0):
    """Return what the box at the cursor says: its heading, and texts by name."""
    box = panel.locator(".hover").nth(at)
    box.wait_for(state="visible")
    return box.locator("b").inner_text(), dict(line.inner_text().split("\n") for line in box.locator("div:has(data)").all())


def row_of(compared, kind, name, step, run="flax"):
    (row,) = [row for row in compared.layers if (row.run, row.kind, row.name, row.step) == (run, kind, name, step)]
    return row


def move(page, map_, row, column):
    """Move the cursor of the map with keys."""
    map_.focus()
    page.keyboard.press("Control+Home")
    page.keyboard.press("Home")
    for key, times in (("ArrowDown", row), ("ArrowRight", column)):
        for _ in range(times):
            page.keyboard.press(key)


def test_the_first_differences_are_those_of_compare(opened, compared, number):
    table = opened()("divergence").locator("table").first
    shown = [row.locator("td").all_inner_texts() for row in table.locator("tbody tr").all()]
    assert len(shown) == len(compared.divergence) >= 2
    for cells, one in zip(shown, compared.divergence, strict=True):
        assert cells[:4] == [one.run, str(one.step), one.kind, one.name]
        expected = [one.distance, one.limit, one.a, one.b]
        assert [number(cells[at]) for at in (4, 5, 7, 8)] == pytest.approx(expected, rel=6e-3)


def test_cells_of_the_map_are_rows_of_the_table_of_layers(page, opened, compared, number):
    panel = opened(run="flax", kind="grads")("layers")
    names = [f"block{number // 4}/dense{number % 4}/kernel" for number in range(12)]
    for row, column in ((0, 0), (6, 9), (6, 10), (11, 19)):
        move(page, panel.locator(".map-scroll"), row, column)
        name, told = box_of(panel)
        expected = row_of(compared, "grads", name, int(told["step"]))
        assert (name, int(told["step"])) == (names[row], column)
        assert [number(told["distance"]), number(told["limit"])] == pytest.approx([expected.distance, expected.limit], rel=1e-3)


@pytest.mark.parametrize("measure", MEASURES)
def test_every_measure_of_the_map_is_that_of_the_table(page, opened, compared, number, measure):
    panel = opened(run="flax", kind="grads")("layers")
    panel.get_by_text(measure, exact=True).click()
    page.wait_for_timeout(300)
    move(page, panel.locator(".map-scroll"), 6, STEP)
    name, told = box_of(panel)
    value = next(text for key, text in told.items() if key not in {"step", "limit", "over limit"})
    assert name == NAME
    assert number(value) == pytest.approx(MEASURES[measure](row_of(compared, "grads", NAME, STEP)), rel=1e-3)


def test_a_cell_under_the_pointer_is_told_and_a_click_chooses_it(page, opened, compared, number):
    panel = opened(run="flax", kind="grads")("layers")
    bounds = panel.locator("canvas").bounding_box()
    page.mouse.move(bounds["x"] + bounds["width"] * 0.7, bounds["y"] + 22 + 17 * 6 + 8)
    name, told = box_of(panel)
    assert number(told["distance"]) == pytest.approx(row_of(compared, "grads", name, int(told["step"])).distance, rel=1e-3)
    page.mouse.down()
    page.mouse.up()
    page.wait_for_function("name => location.hash.includes(encodeURIComponent(name))", arg=name)
    assert f"step={told['step']}" in page.url


def share_of(rows, low, high):
    """Return the share of the values between two numbers, those inside of a bar taken as evenly spread."""
    inside = np.minimum(rows[:, 1], high) - np.maximum(rows[:, 0], low)
    return float((np.maximum(inside, 0) / (rows[:, 1] - rows[:, 0]) * rows[:, 2]).sum() / rows[:, 2].sum())


def test_the_histograms_of_all_runs_are_those_that_read_returns(page, opened, held, number):
    panel = opened(kind="grads", layer=NAME, step=STEP, values="linear")("histograms")
    assert panel.locator("output.step").inner_text() == f"step {STEP}"
    chart = panel.locator(".chart").first
    chart.locator("canvas").wait_for()
    chart.focus()
    rows = {run: np.asarray(data.histograms[f"grads/{NAME}"].value[STEP]) for run, data in held.items()}
    rows = {run: one[one[:, 2] > 0] for run, one in rows.items()}
    low, high = min(one[0, 0] for one in rows.values()), max(one[-1, 1] for one in rows.values())
    size = (high - low) / CELLS
    for cell in range(CELLS // 2):
        page.keyboard.press("ArrowRight")
        heading, told = box_of(panel)
        begin = low + cell * size
        assert number(heading.split()[-1]) == pytest.approx(begin, rel=1e-3, abs=1e-9)
        expected = {run: share_of(one, begin, begin + size) / size for run, one in rows.items()}
        assert {run: number(text) for run, text in told.items()} == pytest.approx(expected, rel=2e-3, abs=1e-9)


def test_a_tensor_is_first_shown_at_the_step_where_it_parts(opened, compared):
    first = compared.divergence[0]
    panels = opened(kind=first.kind, layer=first.name)
    assert panels("histograms").locator("output.step").inner_text() == f"step {first.step}"
    assert f"at step {first.step}" in panels("norms").inner_text()


def test_norms_over_the_steps_are_the_scalars_of_the_run(page, opened, held, number):
    panel = opened(kind="grads", layer=NAME)("norms")
    chart = panel.locator(".chart").first
    chart.locator("canvas").wait_for()
    chart.focus()
    for step in range(STEP + 2):
        page.keyboard.press("ArrowRight")
        heading, told = box_of(panel)
        assert heading == f"step {step}"
        expected = {run: data.scalars[f"norm/grads/{NAME}"].value[step] for run, data in held.items()}
        assert {run: number(text) for run, text in told.items()} == pytest.approx(expected, rel=1e-3)


def test_the_numbers_of_a_tensor_at_a_step_are_the_row_of_the_table(opened, compared, number):
    panel = opened(kind="grads", layer=NAME, step=STEP)("norms")
    table = panel.locator("table").first
    heads = table.locator("thead th").all_inner_texts()
    cells = dict(zip(heads, table.locator("tbody tr").first.locator("td").all_inner_texts(), strict=True))
    row = row_of(compared, "grads", NAME, STEP)
    assert (cells["Run"], cells["Its name"]) == (row.run, row.other)
    found = [number(cells[head]) for head in ("Difference", "Limit", "Earth mover's distance", "Octaves", "log2 norm ratio")]
    assert found == pytest.approx([row.distance, row.limit, row.emd, row.octaves, row.norm_ratio], rel=1e-3)
