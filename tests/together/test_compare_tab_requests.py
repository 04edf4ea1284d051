"""Requests to the Compare tab that nothing sensible can come of."""

import types

import pytest
from werkzeug.test import Client

from multiboard_tensorboard.experiments import _natural

pytestmark = pytest.mark.filterwarnings("ignore:html5lib:DeprecationWarning")


class Broken:
    """A provider that cannot tell anything."""

    def __getattr__(self, name):
        raise RuntimeError(f"no {name} today")


@pytest.fixture
def asked():
    """A client that asks for parts of what the provider cannot tell."""
    from multiboard_tensorboard.plugin import Plugin

    context = types.SimpleNamespace(data_provider=Broken(), multiplexer=None, logdir="", sampling_hints=None)
    return Client(Plugin(context).get_plugin_apps()["/part/*"])


def test_what_goes_wrong_here_is_a_sentence_for_the_page_and_is_written_out_once(asked, caplog):
    answers = [asked.get("/data/plugin/multiboard/part/runs") for _ in range(3)]
    assert {answer.status_code for answer in answers} == {500}
    assert {answer.text for answer in answers} == {"runs could not be made; TensorBoard's output says why."}
    (record,) = caplog.records
    assert record.getMessage() == "Compare tab: runs could not be made"
    assert "today" in caplog.text


def test_a_list_of_names_that_is_nested_without_end_is_refused(asked, caplog):
    answer = asked.get("/data/plugin/multiboard/part/comparison", query_string={"runs": 20_000 * "["})
    assert answer.status_code == 400
    assert "a JSON list" in answer.text
    assert not caplog.records


def test_numbers_in_tags_sort_by_their_size_however_long_they_are():
    ordered = ["a", "a2", "a10b", f"a{'9' * 5000}", "b"]
    assert sorted(set(ordered), key=_natural) == ordered
