"""The page can be used with the keyboard alone, and its texts can be read in both colour schemes."""

import pytest

pytestmark = pytest.mark.browser

WALK = """() => { const one = document.activeElement;
    const styled = element => [getComputedStyle(element).outlineStyle, getComputedStyle(element).boxShadow];
    const marked = element => element && styled(element).some(style => style !== 'none');
    return [[...document.querySelectorAll('*')].indexOf(one), one.closest('section')?.id ?? '', one.outerHTML.slice(0, 80),
        [one, one.closest('label'), one.nextElementSibling].some(marked)]; }"""
FAINT = """least => {
    const canvas = document.createElement('canvas'); canvas.width = canvas.height = 1;
    const drawn = canvas.getContext('2d', {willReadFrequently: true});
    const bytes = colour => { drawn.clearRect(0, 0, 1, 1); drawn.fillStyle = colour; drawn.fillRect(0, 0, 1, 1);
        return [...drawn.getImageData(0, 0, 1, 1).data].map(one => one / 255); };
    const over = (top, below) => [0, 1, 2].map(at => top[at] * top[3] + below[at] * (1 - top[3]));
    const linear = one => one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4;
    const light = colour => 0.2126 * linear(colour[0]) + 0.7152 * linear(colour[1]) + 0.0722 * linear(colour[2]);
    const behind = element => {
        if (!element) return [1, 1, 1];
        return over(bytes(getComputedStyle(element).backgroundColor), behind(element.parentElement)); };
    const found = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
        const element = node.parentElement;
        if (!node.data.trim() || !element.checkVisibility() || element.closest('script, style, :disabled, .offscreen')) continue;
        const below = behind(element);
        const style = getComputedStyle(element);
        const [a, b] = [light(over(bytes(style.color), below)), light(below)];
        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        const named = `${element.className || element.tagName} ${node.data.trim().slice(0, 30)}`;
        if (ratio < least) found.push(`${ratio.toFixed(2)} ${named}`);
    }
    return [...new Set(found)]; }"""
READABLE = 4.5
"""Contrast of small text by www.w3.org/TR/WCAG22, level AA."""
PANELS = ["divergence", "runs", "layers", "histograms", "norms", "scalars", "graph", "profile", "media"]


def test_the_tab_key_reaches_every_panel_and_shows_where_it_is(page, report_file, walk):
    page.goto(report_file.as_uri())
    page.wait_for_selector("main section")
    walk(page)
    page.evaluate("() => window.scrollTo(0, 0)")
    seen = {}
    for _ in range(400):
        page.keyboard.press("Tab")
        at, *told = page.evaluate(WALK)
        if at in seen:
            break
        seen[at] = told
    assert {f"panel-{name}" for name in PANELS if name != "profile"} <= {place for place, *_ in seen.values()}
    assert [element for _, element, marked in seen.values() if not marked and not element.startswith("<body")] == []


def test_a_cell_is_chosen_with_keys_and_shown_everywhere(page, report_file, walk):
    page.goto(f"{report_file.as_uri()}#run=flax&kind=params")
    page.wait_for_selector("main section")
    walk(page)
    page.locator(".map-scroll").focus()
    for key in ("ArrowDown", "ArrowDown", "ArrowRight", "ArrowRight", "ArrowRight", "Enter"):
        page.keyboard.press(key)
    page.wait_for_function("() => location.hash.includes('layer=')")
    walk(page)
    assert page.locator("#panel-norms select.wide").input_value() == "block0/dense2/kernel"
    assert page.locator("#panel-histograms output.step").inner_text() == "step 3"
    assert "at step 3" in page.locator("#panel-norms").inner_text()


def test_the_first_difference_opens_with_the_enter_key(page, report_file):
    page.goto(report_file.as_uri())
    row = page.locator("#panel-divergence tbody tr").first
    row.focus()
    page.keyboard.press("Enter")
    page.wait_for_function("() => location.hash.includes('step=10')")
    assert "kind=grads" in page.url


def test_the_graph_folds_and_unfolds_with_arrow_keys(page, report_file, walk):
    page.goto(report_file.as_uri())
    page.wait_for_selector("main section")
    walk(page)
    rows = page.locator("#panel-graph tbody tr")
    whole = rows.count()
    rows.nth(1).focus()
    page.keyboard.press("ArrowLeft")
    assert rows.count() == whole - 4
    page.keyboard.press("ArrowRight")
    assert rows.count() == whole


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_stand_out_from_what_is_behind_them(new_page, report_file, scheme, walk):
    page = new_page(scheme)
    page.goto(report_file.as_uri())
    page.wait_for_selector("main section")
    walk(page)
    dark = page.evaluate(
        "() => getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3).every(one => one < 60)"
    )
    assert dark == (scheme == "dark")
    assert page.evaluate(FAINT, READABLE) == []


def test_the_theme_that_a_person_chooses_wins_over_the_system(new_page, report_file, walk):
    page = new_page("light")
    page.goto(report_file.as_uri())
    page.wait_for_selector("main section")
    page.get_by_label("Theme").select_option("dark")
    walk(page)
    assert page.evaluate(
        "() => getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3).every(one => one < 60)"
    )
    assert page.evaluate(FAINT, READABLE) == []
