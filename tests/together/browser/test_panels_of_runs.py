"""Each panel about whole runs shows the numbers of the Python interface."""

import pytest

from multiboard.compare.layer_table import logged_summary
from multiboard.graph.differences import diff

pytestmark = pytest.mark.browser

PIXELS = """image => { const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
    const drawn = canvas.getContext('2d'); drawn.drawImage(image, 0, 0);
    return [canvas.width, canvas.height, ...drawn.getImageData(3, 3, 1, 1).data]; }"""


def box_of(card):
    box = card.locator(".hover")
    box.wait_for(state="visible")
    return box.locator("b").inner_text(), dict(line.inner_text().split("\n") for line in box.locator("div:has(data)").all())


def table_of(panel):
    """Return the rows of a table as lists by their heads."""
    rows = [(row.locator("th"), row.locator("td")) for row in panel.locator("tbody tr:not(.group)").all()]
    return {head.inner_text(): cells.all_inner_texts() for head, cells in rows}


def test_facts_that_differ_are_shown_first_and_all_on_request(opened, held):
    panel = opened()("runs")
    differing = table_of(panel)
    assert differing["seed"] == ["0", "1", "2"]
    assert "version/numpy" not in differing
    panel.get_by_label("Differences only").uncheck()
    panel.get_by_role("rowheader", name="version/numpy").wait_for()  # the table is drawn in the next frame
    shown = table_of(panel)
    known = {name: {**data.hparams, **data.facts} for name, data in held.items()}
    for key in set().union(*known.values()):
        expected = [known[run].get(key) for run in known]
        if key != "seed" and all(isinstance(value, str) and len(value) < 50 for value in expected):
            assert shown[key] == expected
    assert shown["status"] == [held[run].status for run in held]


def test_differences_of_a_scalar_from_the_baseline_are_those_of_the_table(page, opened, compared, number):
    panel = opened(difference="true")("scalars")
    card = panel.locator(".card", has_text="train/loss")
    card.locator("canvas").wait_for()
    card.locator(".chart").focus()
    expected = {row.step: row.distance for row in compared.scalars if (row.run, row.tag) == ("flax", "train/loss")}
    for step in range(20):
        page.keyboard.press("ArrowRight")
        heading, told = box_of(card)
        assert heading == f"step {step}"
        assert number(told["flax"]) == pytest.approx(expected[step], rel=6e-3)
        assert number(told["keras"]) == 0


def test_values_over_another_axis_are_those_of_the_run(page, opened, held, number):
    card = opened(x="train/epoch")("scalars").locator(".card", has_text="train/loss")
    card.locator("canvas").wait_for()
    card.locator(".chart").focus()
    for step in range(3):
        page.keyboard.press("ArrowRight")
        heading, told = box_of(card)
        assert heading.startswith("train/epoch ")
        assert number(heading.split()[-1]) == pytest.approx(step / 10)
        expected = {run: data.scalars["train/loss"].value[step] for run, data in held.items()}
        assert {run: number(text) for run, text in told.items()} == pytest.approx(expected, rel=1e-3)


def test_the_graph_shows_the_layers_of_both_and_what_differs(opened, held):
    panel = opened(run="keras")("graph")
    ours, theirs = (logged_summary(held[run]) for run in ("torch", "keras"))
    differing = diff(ours, theirs)
    assert [(row.layer, row.what) for row in differing.rows] == [("head", "only in b")]
    rows = panel.locator("tbody tr")
    assert rows.count() == len(theirs.rows)
    (extra,) = panel.locator("tr.is-only_b").all()
    assert extra.locator("td").nth(1).inner_text() == "head"
    params = [cell.inner_text() for cell in panel.locator("tr.is-same td.num").all()]
    assert params.count("64") == 2 * sum(row.cls == "Linear" for row in ours.rows)


def test_numbers_of_profiles_stand_side_by_side(opened, held, number):
    shown = table_of(opened()("profile"))
    of = lambda tag: [data.scalars[tag].value[-1] for data in held.values()]  # noqa: E731
    assert [number(cell.split("\n")[0].split(" ms")[0]) for cell in shown["Time of a step"]] == pytest.approx(
        of("profile/step_ms")
    )
    assert [number(cell.split("\n")[0].split(" MiB")[0]) * 2**20 for cell in shown["Most memory in use"]] == pytest.approx(
        of("profile/mem_peak_bytes")
    )
    assert "+100 %" in shown["Time of a step"][1]


def test_pictures_of_all_runs_are_those_of_one_step(page, in_view, opened, held):
    panel = opened(media="samples/picture")("media")
    for step in (19, 10, 0):
        told = f"[...panel.querySelectorAll('article header')].filter(one => one.innerText.includes('step {step}')).length"
        in_view("media", f"panel => {told} === {len(held)}")
        in_view("media", "panel => [...panel.querySelectorAll('article img')].every(one => one.naturalWidth)")
        found = [image.evaluate(PIXELS) for image in panel.locator("article img").all()]
        assert found == [[12, 8, 40 * seed, step, 120, 255] for seed in range(len(held))]
        panel.locator("input[type=range]").focus()
        page.keyboard.press("ArrowLeft")


def test_texts_and_sounds_of_all_runs_stand_side_by_side(in_view, opened, held):
    panel = opened(media="samples/text", mediaStep="10")("media")
    panel.locator("article .text").nth(len(held) - 1).wait_for()
    assert panel.locator("article .text").all_inner_texts() == [f"step 10 of seed {seed}" for seed in range(len(held))]
    panel.locator("select").first.select_option("samples/sound")
    in_view("media", f"panel => panel.querySelectorAll('article canvas').length === {len(held)}")
