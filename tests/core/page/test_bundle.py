"""The modules of the page as one script."""

import re

import pytest

from multiboard.page.bundle import STATIC, BundleError, module, script, style


@pytest.fixture
def bundled(tmp_path):
    """A function that bundles modules: texts by name."""

    def bundle(**modules):
        for name, text in modules.items():
            file = tmp_path.joinpath(*name.split("__")).with_suffix(".js")
            file.parent.mkdir(exist_ok=True)
            file.write_text(text)
        return script(tmp_path)

    return bundle


def test_a_module_stands_behind_what_it_imports_in_a_scope_of_its_own(bundled):
    text = bundled(
        app='import { b as c } from "./panels/b.js";\nimport { a } from "./a.js";\nexport function start() { return a + c; }\n',
        a="export const a = 1;\n",
        panels__b='import { a } from "../a.js";\nexport const b = a + 1;\n',
    )
    assert text.splitlines() == [
        'const multiboard=(()=>{"use strict";',
        "const m0=(()=>{", "const a = 1;", "return {a};", "})();",
        "const m1=(()=>{", "const {a}=m0;", "const b = a + 1;", "return {b};", "})();",
        "const m2=(()=>{", "const {b:c}=m1;", "const {a}=m0;", "function start() { return a + c; }", "return {start};", "})();",
        "return m2;", "})();",
    ]  # fmt: skip


def test_imports_of_several_lines_and_all_ways_to_export_are_understood(bundled):
    text = bundled(
        app='import {\n  one,\n  two as deux,\n} from "./a.js";\nexport class Page {}\nexport async function f() {}\n',
        a="export const one = 1;\nexport function* two() {}\n",
    )
    assert "const {one,two:deux}=m0;" in text
    assert "return {Page,f};" in text
    assert "return {one,two};" in text


def test_comments_on_their_own_lines_and_indentation_go_and_texts_stay(bundled):
    text = bundled(app='// one\n/* two\n   three */\n/*! licence */\nexport const a = "// four";\n\n    const b = 1; // five\n')
    for gone in ("// one", "two", "three", "    const"):
        assert gone not in text
    for kept in ("/*! licence */", '"// four"', "const b = 1; // five"):
        assert kept in text


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ('import all from "./a.js";', "carry it over"),
        ('import { a } from "somewhere";', "carry it over"),
        ("export default 1;", "carry it over"),
        ("export { a };", "carry it over"),
        ('const a = await import("./a.js");', "carry it over"),
        ('const a = "</SCRIPT>";', "carry it over"),
        ('const a = "<!--";', "carry it over"),
        ("const a = `one", "a template must end on the line"),
        ('import { a } from "./app.js";', "in a circle"),
    ],
)
def test_a_line_that_breaks_the_rules_is_named(bundled, line, rule):
    with pytest.raises(BundleError, match=rule) as raised:
        bundled(app=f"{line}\n")
    assert "app.js" in str(raised.value)


def test_the_modules_of_the_page_keep_to_the_rules():
    assert "startReport" in script().rpartition("return {")[0]
    assert script() == script.__wrapped__()


def test_every_module_of_the_page_but_the_tabs_entry_is_in_the_script():
    modules = {path.relative_to(STATIC).as_posix() for path in STATIC.rglob("*.js")}
    assert script().count("=(()=>{\n") == len(modules - {"index.js"})


def test_the_tabs_module_holds_all_modules_and_imports_none():
    modules = {path.relative_to(STATIC).as_posix() for path in STATIC.rglob("*.js")}
    assert module().count("=(()=>{\n") == len(modules)
    assert not re.search(r"^import\b|\bimport\(", module(), re.MULTILINE)


def test_the_style_sheet_loads_nothing():
    assert "url(" not in style()
    assert "@import" not in style()


def test_the_vendored_library_is_what_its_note_says():
    note = (STATIC / "vendor" / "VENDOR.md").read_text("utf-8")
    assert "uPlot (v1.6.32)" in (STATIC / "vendor" / "uplot.js").read_text("utf-8")[:60]
    assert "uPlot 1.6.32" in note
    assert "MIT License" in (STATIC / "vendor" / "uplot.LICENSE").read_text("utf-8")
