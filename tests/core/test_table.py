"""Tables of every form become the same markdown."""

import numpy as np
import pytest

TABLE = "| layer | loss |\n| --- | --- |\n| a | 0.5 |\n| b | 2 |"


class Frame:
    """What pandas and a table have in common."""

    columns = ("layer", "loss")

    def itertuples(self, *, index, name):
        assert (index, name) == (False, None)
        return iter([("a", 0.5), ("b", 2)])


def text(written, rows, **arguments):
    return written(lambda run: run.table("t", rows, 1, **arguments)).texts["t"].value[0]


@pytest.mark.parametrize(
    "rows",
    [
        [{"layer": "a", "loss": 0.5}, {"layer": "b", "loss": 2}],
        {"layer": ["a", "b"], "loss": [0.5, 2]},
        {"layer": np.array(["a", "b"]), "loss": (0.5, 2)},
        Frame(),
    ],
    ids=["dicts", "columns", "arrays", "frame"],
)
def test_every_form_with_names_is_the_same_table(written, rows):
    assert text(written, rows) == TABLE


def test_rows_take_their_names_from_the_columns(written):
    assert text(written, [["a", np.float32(0.5)], ("b", np.int64(2))], columns=["layer", "loss"]) == TABLE


def test_rows_without_names_are_numbered(written):
    assert text(written, [[1, 2]]) == "| 0 | 1 |\n| --- | --- |\n| 1 | 2 |"


@pytest.mark.parametrize("rows", [[{"a": 1, "b": 2, "c": 3}], {"a": [1], "b": [2], "c": [3]}], ids=["dicts", "columns"])
def test_columns_choose_and_order(written, rows):
    assert text(written, rows, columns=["c", "a"]) == "| c | a |\n| --- | --- |\n| 3 | 1 |"


def test_a_missing_cell_is_empty_and_a_later_column_is_kept(written):
    assert text(written, [{"a": 1}, {"b": 2}]) == "| a | b |\n| --- | --- |\n| 1 |  |\n|  | 2 |"


def test_pipes_and_newlines_stay_inside_their_cell(written):
    assert text(written, [["x|y", "1\n2\r\n3"]], columns=["a|b", "c"]) == "| a\\|b | c |\n| --- | --- |\n| x\\|y | 1<br>2<br>3 |"


def test_a_table_without_rows_has_its_header(written):
    assert text(written, [], columns=["a"]) == "| a |\n| --- |"


def test_rows_that_change_afterwards_keep_what_was_logged(written):
    def actions(run):
        rows = [["a"]]
        run.table("t", rows, 0, columns=["x"])
        rows[0][0] = "b"

    assert written(actions).texts["t"].value[0].endswith("| a |")
