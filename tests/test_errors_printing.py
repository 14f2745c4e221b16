import pytest

from alexnet_jax.errors import UserError, print_error, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("tabby, Katze, 猫", "tabby, Katze, 猫"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("two\nlines\r", r"two\nlines\r"),
        ("\x9b2J", r"\x9b2J"),  # The one-byte form of the escape sequence's beginning.
        ("cat\u202egpj", r"cat\u202egpj"),  # What follows would be shown from right to left.
        ("\udcff.jpg", r"\udcff.jpg"),  # A file name that is no UTF-8.
    ],
)
def test_nothing_in_a_name_steers_the_terminal(text, shown):
    assert printable(text) == shown


def test_an_error_is_one_line_without_escapes(capsys):
    assert print_error(UserError("a\x1b[2J\nb")) == 2
    assert capsys.readouterr().err == "error: a\\x1b[2J b\n"
