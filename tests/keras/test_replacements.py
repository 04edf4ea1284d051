"""Methods of instances are replaced for a step and put back, whatever else has happened to them."""

import pytest

from multiboard_keras.sight import Replacements


class Greeter:
    def greet(self):
        return "hello"


def louder(original):
    return lambda: original().upper()


def test_a_method_is_replaced_each_time_and_put_back():
    greeter, replacements = Greeter(), Replacements()
    replacements.add(greeter, "greet", louder)
    for _ in range(2):
        with replacements:
            assert greeter.greet() == "HELLO"
        assert greeter.greet() == "hello"
        assert vars(greeter) == {}


def test_what_somebody_else_has_put_there_since_is_called_and_put_back():
    greeter, replacements = Greeter(), Replacements()
    replacements.add(greeter, "greet", louder)

    def theirs():
        return "good morning"

    greeter.greet = theirs
    with replacements:
        assert greeter.greet() == "GOOD MORNING"
    assert greeter.greet is theirs
    del greeter.greet
    with replacements:
        assert greeter.greet() == "HELLO"
    assert vars(greeter) == {}


def test_an_error_inside_puts_the_method_back():
    greeter, replacements = Greeter(), Replacements()
    replacements.add(greeter, "greet", lambda _: lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError), replacements:
        greeter.greet()
    assert greeter.greet() == "hello"
