"""What the page makes it also takes away, late answers do not win, and what is seen at a cursor is also said."""

import pytest

pytestmark = pytest.mark.browser

IN_REPORT, IN_TAB = (pytest.mark.parametrize("mode", [mode], indirect=True) for mode in ("report", "tab"))
COUNTED = """(() => {
    const held = { addresses: 0, watched: 0 };
    const count = (owner, name, key, by) => { const was = owner[name];
        owner[name] = function (...given) { held[key] += by; return was.apply(this, given); }; };
    count(URL, 'createObjectURL', 'addresses', 1);
    count(URL, 'revokeObjectURL', 'addresses', -1);
    for (const kind of [IntersectionObserver, ResizeObserver]) {
        count(kind.prototype, 'observe', 'watched', 1);
        count(kind.prototype, 'disconnect', 'watched', -1);
    }
    window.held = held;
})()"""
PLOTS = "() => document.querySelectorAll('#panel-scalars .uplot').length"


@pytest.fixture
def counted(page, opened):
    """A function that opens the page with what it holds counted."""
    page.add_init_script(COUNTED)
    return opened


@IN_REPORT
def test_pictures_that_are_not_shown_any_more_are_not_held(page, counted):
    panel = counted(media="samples/picture")("media")
    for key in ("Home", "End", "Home"):
        panel.locator("input[type=range]").focus()
        page.keyboard.press(key)
        page.wait_for_function("() => document.querySelectorAll('#panel-media article img').length === 3 && held.addresses === 3")
    panel.locator("select").first.select_option("samples/text")
    page.wait_for_function("() => held.addresses === 0")


@IN_REPORT
def test_charts_that_a_filter_takes_away_are_not_held(page, counted):
    panel = counted()("scalars")
    panel.locator(".uplot").first.wait_for()
    page.wait_for_timeout(300)
    before = page.evaluate("() => held.watched")
    field = page.get_by_label("Filter layers and tags")
    field.fill("no such tag")
    page.wait_for_function(f"() => ({PLOTS})() === 0")
    assert page.evaluate("() => held.watched") < before
    field.fill("")
    page.wait_for_function(f"() => ({PLOTS})() > 1")
    page.wait_for_timeout(300)
    assert page.evaluate("() => held.watched") <= before


@IN_TAB
def test_the_last_of_two_quick_choices_is_shown_though_the_first_is_answered_late(page, in_view, opened):
    panel = opened(kind="grads", layer="block0/dense0/kernel")("histograms")
    held = []

    def hold(route):
        held.append(route)

    page.route(lambda address: "part/histogram?" in address and "dense1" in address, hold)
    chosen = panel.locator("select.wide")
    chosen.select_option("block0/dense1/kernel")
    page.wait_for_timeout(200)
    chosen.select_option("block0/dense2/kernel")
    page.wait_for_timeout(200)
    (late,) = held
    with page.expect_response(lambda answer: "part/histogram?" in answer.url and "dense2" in answer.url):
        late.continue_()
    in_view("histograms", "panel => panel.ariaBusy === 'false'")
    assert chosen.input_value() == "block0/dense2/kernel"


@IN_TAB
def test_an_error_stays_until_what_failed_was_read(page, opened, complaints):
    failing = "**/part/medium?*"
    page.route(failing, lambda route: route.fulfill(status=500, body="the disk is gone"))
    panel = opened(media="samples/text")("media")
    trouble = panel.get_by_role("alert")
    assert trouble.inner_text() == "the disk is gone"
    page.unroute(failing)
    page.get_by_label("Theme").select_option("dark")
    panel.locator("article .text").nth(2).wait_for()
    assert not trouble.is_visible()
    assert {one.split(" for ")[0] for one in complaints if not one.startswith("console")} == {"500"}
    complaints.clear()


@IN_REPORT
def test_letters_that_are_typed_stay_when_something_else_changes(page, opened):
    opened()("runs")
    page.evaluate("""() => { const field = document.querySelector('header input');
        const theme = document.querySelector('header > select');
        field.value = 'abc'; field.dispatchEvent(new Event('input'));
        theme.value = 'dark'; theme.dispatchEvent(new Event('change')); }""")
    page.wait_for_function("() => location.hash.includes('filter=abc') && location.hash.includes('theme=dark')")
    assert page.get_by_label("Filter layers and tags").input_value() == "abc"


@IN_REPORT
def test_values_at_the_cursor_of_a_chart_are_said(page, opened, held, number):
    card = opened()("scalars").locator(".card", has_text="train/loss")
    card.locator("canvas").wait_for()
    card.locator(".chart").focus()
    page.keyboard.press("ArrowRight")
    words = page.locator("[aria-live=polite]").inner_text().split()
    assert words[:2] == ["step", "0"]
    told = dict(zip(words[2::2], words[3::2], strict=True))
    assert {run: number(text) for run, text in told.items()} == pytest.approx(
        {run: data.scalars["train/loss"].value[0] for run, data in held.items()}, rel=1e-3
    )
