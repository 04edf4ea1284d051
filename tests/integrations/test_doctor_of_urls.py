"""The doctor tells whether the place behind a URL can be reached."""

from multiboard.doctor import State, examine


def of_url(url):
    return [one for one in examine(url) if one.subject == "URL"]


def test_a_place_that_answers():
    (found,) = of_url("memory://bucket/runs")
    assert found.state is State.GOOD
    assert found.text == "memory://bucket/runs can be reached"


def test_a_place_that_does_not_and_a_password_that_is_not_said():
    (found,) = of_url("nowhere://user:secret@host/runs")
    assert found.state is State.WRONG
    assert "nowhere" in found.text
    assert "secret" not in found.text
