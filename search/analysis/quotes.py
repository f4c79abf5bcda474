"""Texts among the values of hyperparameters, told apart from what they look like: "NA" from no value, "1" from 1."""

MISSING = (
    *("", "NA", "N/A", "n/a", "<NA>", "#NA", "#N/A", "#N/A N/A", "NULL", "null", "None"),
    *("1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN"),
)
"""Texts that pandas.read_csv takes for no value, besides nan, which is a number to Python."""
BOOLEANS = ("true", "false")
"""Texts that it takes for booleans, in small letters or large ones."""


def quoted(text: str) -> str:
    """Return a text as it is, but in quotes of its own where a reader would take it for something else.

    That is for no value, a number or a boolean; or for a text that had to be quoted.
    """
    if text in MISSING or text.lower() in BOOLEANS or _is_number(text) or _is_quoted(text):
        return f"'{text}'"
    return text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_quoted(text: str) -> bool:
    return len(text) > 1 and text[0] == text[-1] == "'"
