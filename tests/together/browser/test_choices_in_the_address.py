"""What is chosen on the page is kept in its address; what a stranger writes there does nothing."""

import pytest

pytestmark = pytest.mark.browser

SHOWN = """() => [...document.querySelectorAll('select, input:not(.clip input)')].filter(one => one.checkVisibility())
    .map(one => [one.closest('section')?.id ?? 'bar',
    one.ariaLabel ?? one.closest('fieldset')?.ariaLabel ?? one.closest('label').innerText,
    one.type, ['checkbox', 'radio'].includes(one.type) ? one.value + one.checked : one.value])"""
CHOOSE = """() => { for (const one of document.querySelectorAll('select, input:not(.clip input)')) {
    const last = one.type !== 'radio' || one === [...one.closest('fieldset').querySelectorAll('input')].at(-1);
    if (!one.checkVisibility() || one.disabled || !last) continue;
    if (one.tagName === 'SELECT') one.selectedIndex = one.options.length - 1;
    else if (one.type === 'search') one.value = 'e';
    else if (one.type === 'range') one.value = one.max > 1 ? 2 : 0.5;
    else { one.click(); continue; }
    one.dispatchEvent(new Event('input', { bubbles: true }));
    one.dispatchEvent(new Event('change', { bubbles: true })); } }"""
HOSTILE = {
    "theme": "constructor",
    "x": "no/such/tag",
    "smoothing": "7",
    "group": "no such key",
    "band": "__proto__",
    "values": "toString",
    "normScale": "cubic",
    "order": "best",
    "measure": "hasOwnProperty",
    "kind": "__proto__",
    "run": "valueOf",
    "layer": "<b>",
    "step": "last",
    "mediaStep": '"a"',
    "media": "none",
    "captures": "[1]",
    "facts": "{}",
    "graphFind": "[]",
    "differencesOnly": "maybe",
    "log": "1",
    "profileTable": "constructor",
}


@pytest.fixture
def shown(walk):
    """A function that returns what a page shows, when all of it is filled."""

    def read(page):
        walk(page)
        page.wait_for_timeout(400)
        walk(page)
        return page.evaluate(SHOWN)

    return read


@pytest.fixture
def of_address(new_page, report_file, walk):
    """A function that opens the report with a fragment and returns the page, all panels filled."""

    def show(fragment=""):
        page = new_page()
        page.goto(f"{report_file.as_uri()}#{fragment}")
        page.wait_for_selector("main section")
        walk(page)
        return page

    return show


def test_every_choice_comes_back_with_the_address(of_address, shown):
    first = of_address()
    before = shown(first)
    first.evaluate(CHOOSE)
    chosen = shown(first)
    assert len([one for one in before if one not in chosen]) > 20
    assert shown(of_address(first.url.split("#")[1])) == chosen


def test_what_nothing_on_the_page_offers_counts_as_not_chosen(of_address, shown):
    plain = shown(of_address())
    fragment = "&".join(f"{key}={value}" for key, value in HOSTILE.items())
    assert shown(of_address(fragment)) == plain


def test_a_pattern_that_takes_for_ever_is_taken_as_text(modules):
    found = modules.evaluate("""async () => { const { matcher } = await import('/format.js');
        return ['(a+)+$', '((a|a))*$', 'A{2,}!$'].map(one => matcher(one)('a'.repeat(60) + '!')); }""")
    assert found == [False, False, True]


def test_the_address_around_a_frame_may_hold_anything(page, tabs):
    page.goto(f"{tabs['fast'].address}data/plugins_listing#p.multiboard.view=%E0%A4%A%")
    page.evaluate("""() => document.body.replaceChildren(Object.assign(document.createElement('iframe'),
        { src: 'plugin_entry.html?name=multiboard', width: 1200, height: 800 }))""")
    page.frame_locator("iframe").locator(".verdict").wait_for()
