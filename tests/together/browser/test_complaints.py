"""What goes wrong on a page fails its test."""

import pytest

pytestmark = pytest.mark.browser

WRONG = {
    "console": "<script>console.error('wrong')</script>",
    "exception": "<script>undefined.wrong</script>",
    "dialog": "<script>alert('wrong')</script>",
    "asked": "<img src='http://example.invalid/wrong.png'>",
}


@pytest.mark.parametrize("what", WRONG)
def test_a_complaint_is_noted(page, complaints, what):
    page.set_content(WRONG[what])
    page.wait_for_timeout(200)
    assert any(one.startswith(what) and "wrong" in one for one in complaints)
    complaints.clear()
