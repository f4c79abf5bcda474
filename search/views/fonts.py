"""Fonts for the pictures: matplotlib's own lacks the letters of many scripts, in which users may name things, too."""

import contextlib
import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import matplotlib
import matplotlib.style
from matplotlib import font_manager
from matplotlib.font_manager import FontEntry

OWN = "DejaVu Sans"
"""Comes with matplotlib, and has the letters of Europe's scripts, of Arabic and of Hebrew."""
OWN_FILE = str(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"))
PLACEHOLDERS = "Last Resort"
"""Begins the names of fonts that have a box for every letter."""
PACKAGES = "fonts-noto-core, fonts-noto-cjk or fonts-symbola"
"""Debian's, which have nearly all letters there are."""
NORMAL = 400
"""A weight."""
MAX_LISTED = 10
"""Letters that a person is told of."""
FAMILY_OF: dict[str, str] = {}
"""The family in which a letter was found; empty where it is in none."""


@contextlib.contextmanager
def style(name: str, texts: Iterable[str]) -> Iterator[None]:
    """Draw in a style of matplotlib's, and in fonts that have the letters of these texts; for `savefig`, too."""
    families, _ = fallbacks(_letters(texts))
    with matplotlib.style.context([name, {"font.family": ["sans-serif", *families]}]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # `lacking` tells of it, once
        yield


def lacking(texts: Iterable[str]) -> str:
    """Return a line for a person on the letters of these texts that no font has; an empty one where there are none."""
    _, missing = fallbacks(_letters(texts))
    if not missing:
        return ""
    told = " ".join(missing[:MAX_LISTED])
    if len(missing) > MAX_LISTED:
        told += f" and {len(missing) - MAX_LISTED} more"
    return f"the pictures must have a font for {told}, but this machine has none; install one (Debian: {PACKAGES})"


def runs(text: str) -> list[tuple[str, str]]:
    """Return a text in parts, each with the file of a font that has its letters."""
    families, _ = fallbacks(_letters([text]))
    letters_in = {OWN_FILE: frozenset(text)}
    if families not in ([], [OWN]):
        for file in (OWN_FILE, *map(_file_of, families)):
            letters_in[file] = _letters_in(file, frozenset(text))
    # A font is kept for as long as it has the letters: a part is written as a whole.
    parts: list[tuple[str, str]] = []
    part = ""
    file = OWN_FILE
    for letter in text:
        next_file = _first_with(letter, file, letters_in)
        if part and next_file != file:
            parts.append((part, file))
            part = ""
        part += letter
        file = next_file
    parts.append((part, file))
    return parts


def _first_with(letter: str, file: str, letters_in: Mapping[str, frozenset[str]]) -> str:
    """Return the font of these that has a letter: this one, else the first; this one, too, where none has."""
    for other in (file, *letters_in):
        if letter in letters_in[other]:
            return other
    return file


def _letters(texts: Iterable[str]) -> frozenset[str]:
    """Return the characters of texts that a font may lack: none of ASCII, which every font has."""
    return frozenset(filter(_is_rare, "".join(texts)))


def _is_rare(letter: str) -> bool:
    return not letter.isascii() and not letter.isspace()


def fallbacks(letters: frozenset[str]) -> tuple[list[str], list[str]]:
    """Return the families, few, that have these letters, and the letters that none has.

    Fonts are looked into only for letters that matplotlib's own font lacks, and looked for on the disk only for those
    that no font has of which matplotlib knows: by itself it does not learn of a font that is installed later.
    """
    left = letters - FAMILY_OF.keys()
    for find in (_own, _known, _new):
        if left:
            left = _choose(find(), left)
    FAMILY_OF.update(dict.fromkeys(left, ""))
    families: dict[str, None] = {}
    missing = []
    for letter in sorted(letters):
        if FAMILY_OF[letter]:
            families[FAMILY_OF[letter]] = None
        else:
            missing.append(letter)
    return list(families), missing


def _choose(names: Iterable[str], left: frozenset[str]) -> frozenset[str]:
    """Note which of some families have letters, that with the most first; return the letters that none has."""
    letters_in = {name: _letters_in(_file_of(name), left) for name in names}
    while left and letters_in:
        best = max(letters_in, key=lambda name: len(letters_in[name] & left))
        if not letters_in[best] & left:
            break
        FAMILY_OF.update(dict.fromkeys(letters_in[best] & left, best))
        left -= letters_in[best]
    return left


def _letters_in(file: str, letters: frozenset[str]) -> frozenset[str]:
    """Return those of some letters that a font has; none where it cannot be read."""
    try:
        codes = font_manager.get_font(file).get_charmap()
    except (OSError, RuntimeError):
        return frozenset()
    return letters.intersection(map(chr, codes))


def _file_of(name: str) -> str:
    """Return the file of a family's font that is upright, and of normal weight or nearly so."""
    entries = [entry for entry in font_manager.fontManager.ttflist if entry.name == name]
    return min(entries, key=lambda entry: (entry.style != "normal", _distance(entry))).fname


def _distance(entry: FontEntry) -> int:
    """Return how far a font's weight, a number or a word, is from the normal one."""
    weight = entry.weight
    if isinstance(weight, str):
        weight = font_manager.weight_dict.get(weight, NORMAL)
    return abs(weight - NORMAL)


def _own() -> list[str]:
    return [OWN]


def _known() -> list[str]:
    """Return the families that matplotlib knows: first those of normal weight, of these those without serifs."""
    names: dict[str, None] = {}
    by_use = sorted(
        font_manager.fontManager.ttflist, key=lambda entry: (_distance(entry), "Sans" not in entry.name, entry.name)
    )
    for entry in by_use:
        if not entry.name.startswith(PLACEHOLDERS):
            names[entry.name] = None
    return list(names)


def _new() -> list[str]:
    """Return the families that were installed since matplotlib looked for fonts, which it then knows."""
    known = _known()
    paths = {entry.fname for entry in font_manager.fontManager.ttflist}
    for path in font_manager.findSystemFonts():
        if path not in paths:
            with contextlib.suppress(OSError, RuntimeError):
                font_manager.fontManager.addfont(path)
    return [name for name in _known() if name not in known]
