"""Letters of all scripts in the pictures: the fonts that have them, and what is said where none has."""

from pathlib import Path

import pytest
from fontTools.fontBuilder import FontBuilder  # type: ignore[import-untyped]
from fontTools.pens.ttGlyphPen import TTGlyphPen  # type: ignore[import-untyped]
from matplotlib import font_manager
from matplotlib.text import Text

from search import plot
from search.study import Study
from search.views import fonts
from tests import studies

HAD, LACKING = "\U0010ff01", "\U0010ff02"
"""Letters for private use, which no font of this machine has: the first one is in a font that is made here."""
FAMILY = "Made Here Sans"


@pytest.fixture(autouse=True)
def font(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Install a font that has one letter, of which matplotlib has not heard; return its file."""
    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    pen.lineTo((500, 1000))
    pen.lineTo((1000, 0))
    pen.closePath()
    made = FontBuilder(1000)
    made.setupGlyphOrder([".notdef", "had"])
    made.setupCharacterMap({ord(HAD): "had"})
    made.setupGlyf({".notdef": TTGlyphPen(None).glyph(), "had": pen.glyph()})
    made.setupHorizontalMetrics({".notdef": (500, 0), "had": (1000, 0)})
    made.setupHorizontalHeader(ascent=800, descent=-200)
    made.setupNameTable({"familyName": FAMILY, "styleName": "Regular"})
    made.setupOS2(usWeightClass=400)
    made.setupPost()
    path = tmp_path / "fonts" / "made.ttf"
    path.parent.mkdir()
    made.save(path)
    monkeypatch.setattr(font_manager, "X11FontDirectories", [str(path.parent)])
    monkeypatch.setattr(font_manager.fontManager, "ttflist", font_manager.fontManager.ttflist[:])
    monkeypatch.setattr(fonts, "FAMILY_OF", {})
    return str(path)


def named(folder: Path, letter: str) -> Study:
    """Return a study with a letter in the name of its metric, and of a choice."""
    space = {"x": {"distribution": "uniform", "low": 0, "high": 1}}
    space["fault"] = {"distribution": "choice", "values": [f"{letter} choice", "b"]}
    made = studies.create(folder, "s", num_samples=5, space=space, metric=f"{letter} loss", mode="min")
    for depth in range(5):
        studies.add(made, studies.curve(1.0 + depth, 9), "complete")
    return made


def test_for_texts_in_ascii_no_font_is_looked_into() -> None:
    assert fonts.fallbacks(frozenset()) == ([], [])
    assert fonts.runs("val_loss 0.5") == [("val_loss 0.5", fonts.OWN_FILE)]
    assert fonts.lacking(["val_loss"]) == ""
    assert fonts.FAMILY_OF == {}


def test_letters_that_matplotlibs_own_font_has_take_no_other() -> None:
    assert fonts.fallbacks(frozenset("θЖéשل")) == ([fonts.OWN], [])
    assert fonts.runs("θ_β") == [("θ_β", fonts.OWN_FILE)]


def test_a_font_that_was_installed_since_is_found_and_used_for_its_letters_alone(font: str) -> None:
    assert fonts.fallbacks(frozenset(f"θ{HAD}")) == ([fonts.OWN, FAMILY], [])
    expected = [("a θ ", fonts.OWN_FILE), (f"{HAD}{HAD}", font), (" b", fonts.OWN_FILE)]
    assert fonts.runs(f"a θ {HAD}{HAD} b") == expected
    assert fonts.lacking([HAD, "loss"]) == ""


def test_every_text_in_a_picture_with_such_a_letter_is_written_in_that_font(tmp_path: Path) -> None:
    """matplotlib would warn of each letter that it has not, which is an error in tests."""
    written = set()
    for name, figure in named(tmp_path, HAD).figures().items():
        figure.canvas.draw()
        for text in figure.findobj(Text):
            assert isinstance(text, Text)
            if HAD in text.get_text():
                written.add(name)
                assert FAMILY in text.get_fontfamily()
    assert written == {"curves", "history", "hyperparameters"}


def test_letters_that_no_font_has_are_told_once_in_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    made = named(tmp_path, LACKING)
    capfd.readouterr()
    assert plot.main([str(made.folder)]) == 0
    printed = capfd.readouterr()
    *paths, line = printed.out.splitlines()
    assert len(paths) == 4
    assert line == (
        f"the pictures must have a font for {LACKING}, but this machine has none; "
        f"install one (Debian: {fonts.PACKAGES})"
    )
    assert printed.err == ""


def test_of_many_letters_the_first_are_told() -> None:
    line = fonts.lacking([chr(ord(LACKING) + at) for at in range(30)])
    assert f"{chr(ord(LACKING) + 9)} and 20 more" in line
