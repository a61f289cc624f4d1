"""Lines of text, pictures and rules on A4 pages: a small typesetter over matplotlib, which writes the PDF.

Lengths are points (1/72 inch), from the top left corner of a page. Text stays text: it can be searched and copied.
Knows no Evidence.

Next: tvad/evidence.py
"""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, lru_cache
from threading import RLock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from PIL.Image import Image

WIDTH, HEIGHT = 595.28, 841.89
LEFT, TOP, FOOT = 50.0, 54.0, 62.0
INNER = WIDTH - 2 * LEFT
INDENT = 8.0  # of a paragraph with a bar
LEADING = 1.42  # of a line, in letter sizes
PICTURE_DPI = 170  # of pictures on paper; more is not seen, and makes the file large
MAX_ENLARGED = 72 / 60  # points a pixel: a small picture is printed at 60 dots an inch at the least
INK, SOFT, LINE, WARN = "#1b222b", "#55606e", "#c3cbd3", "#9a3400"
# Fonts that stand in for letters the usual one has not; TrueType only, for others cannot be embedded as text.
STAND_INS = ("Noto Sans", "Droid Sans Fallback", "WenQuanYi Zen Hei", "Arial Unicode MS", "Malgun Gothic", "SimHei")
SETTING = RLock()  # matplotlib's settings belong to the whole process: one report at a time
UNKNOWN = "\ufffd"  # drawn for a letter that no font has


@dataclass(frozen=True)
class Style:
    """Of a line: letter size in points, weight and colour."""

    size: float = 10.0
    bold: bool = False
    colour: str = INK

    @property
    def line(self) -> float:
        return LEADING * self.size


@contextmanager
def fonts() -> Iterator[None]:
    """Inside, matplotlib sets text in the fonts that are measured here, embeds them, and takes "$" for a letter."""
    import matplotlib

    own: dict[Any, Any] = {
        "font.family": list(_families()),
        "pdf.fonttype": 42,
        "text.parse_math": False,
        "text.usetex": False,
    }
    with SETTING, matplotlib.rc_context(own):
        yield


@cache
def _families() -> tuple[str, ...]:
    from matplotlib.font_manager import fontManager

    known = {entry.name for entry in fontManager.ttflist if str(entry.fname).lower().endswith(".ttf")}
    return "DejaVu Sans", *(name for name in STAND_INS if name in known)


@lru_cache(maxsize=8192)
def _advance(letter: str, bold: bool) -> float:
    """Width of a letter at size 1; -1 when no font has it."""
    from matplotlib.font_manager import FontProperties, findfont, get_font
    from matplotlib.ft2font import LoadFlags

    for family in _families():
        font = get_font(findfont(FontProperties(family=family, weight="bold" if bold else "normal")))
        if font.get_char_index(ord(letter)):
            font.set_size(100, 72)
            return font.load_char(ord(letter), flags=LoadFlags.NO_HINTING).linearHoriAdvance / 65536 / 100
    return -1.0


def drawable(text: str, bold: bool = False) -> str:
    """`text` with UNKNOWN for every letter that no font has."""
    return "".join(c if c == "\n" or _advance(c, bold) >= 0 else UNKNOWN for c in text)


def width_of(text: str, style: Style) -> float:
    """Points from the beginning to the end of a line; kerning is left out."""
    return style.size * sum(max(_advance(c, style.bold), 0.0) for c in text)


@lru_cache(maxsize=1024)
def wrap(text: str, style: Style, width: float) -> tuple[str, ...]:
    """`text` in lines no wider than `width`; a longer word is cut. At least one line."""
    parts = drawable(text, style.bold).split("\n")
    return tuple(line for part in parts for line in _wrapped(part, style, width))


def _wrapped(text: str, style: Style, width: float) -> list[str]:
    lines, now, used = [], "", 0.0
    space = width_of(" ", style)
    for word in text.split():
        wide = width_of(word, style)
        if now and used + space + wide <= width:
            now, used = f"{now} {word}", used + space + wide
            continue
        if now:
            lines.append(now)
        while wide > width and len(word) > 1:
            fit = _fitting(word, style, width)
            lines.append(word[:fit])
            word = word[fit:]
            wide = width_of(word, style)
        now, used = word, wide
    return [*lines, now]


def _fitting(word: str, style: Style, width: float) -> int:
    """How many letters of a word fit, at least one."""
    used = 0.0
    for i, letter in enumerate(word):
        used += width_of(letter, style)
        if used > width:
            return max(i, 1)
    return len(word)


def cut(text: str, style: Style, width: float) -> str:
    """`text` on one line, with an ellipsis where it was too long."""
    text = drawable(" ".join(text.split()), style.bold)
    if width_of(text, style) <= width:
        return text
    return text[: _fitting(text, style, width - width_of("…", style))].rstrip() + "…"


class Paper:
    """Pages that fill from the top. `y` is where the next thing begins; what does not fit begins a new page."""

    def __init__(self) -> None:
        self.pages: list[Figure] = []
        self.turn()

    def turn(self) -> None:
        """Begin a new page."""
        from matplotlib.figure import Figure

        self.pages.append(Figure(figsize=(WIDTH / 72, HEIGHT / 72), dpi=72, facecolor="white"))
        self.y = TOP

    @property
    def left(self) -> float:
        """Points to the foot of the page."""
        return HEIGHT - FOOT - self.y

    def room(self, need: float) -> None:
        """Begin a new page unless `need` points are left, or a whole page would not do either."""
        if need > self.left and need <= HEIGHT - FOOT - TOP:
            self.turn()

    def space(self, points: float) -> None:
        self.y += points

    def put(self, line: str, style: Style, x: float, y: float, right: bool = False) -> None:
        """One line with its top at `y` on the page that is being filled."""
        self._put(self.pages[-1], line, style, x, y, right)

    def _put(self, page: "Figure", line: str, style: Style, x: float, y: float, right: bool = False) -> None:
        page.text(
            x / WIDTH,
            1 - (y + 1.05 * style.size) / HEIGHT,
            line,
            fontsize=style.size,
            weight="bold" if style.bold else "normal",
            color=style.colour,
            va="baseline",
            ha="right" if right else "left",
        )

    def flow(
        self, text: str, style: Style = Style(), x: float = LEFT, width: float = INNER, bar: str | None = None
    ) -> None:
        """A paragraph over as many pages as it needs. bar: colour of a bar at its left, which indents it."""
        x, width = (x + INDENT, width - INDENT) if bar else (x, width)
        lines = wrap(text, style, width)
        self.room(style.line * min(len(lines), 2))
        for line in lines:
            if self.left < style.line:
                self.turn()
            self.put(line, style, x, self.y)
            if bar:
                self.stroke((x - INDENT, self.y), (x - INDENT, self.y + style.line + 2), bar, 3)
            self.y += style.line
        self.y += 2

    def height(self, text: str, style: Style, bar: str | None = None) -> float:
        """Points that `flow` takes at the full width."""
        return style.line * len(wrap(text, style, INNER - INDENT if bar else INNER)) + 2

    def stroke(
        self, start: tuple[float, float], end: tuple[float, float], colour: str = LINE, thick: float = 0.7
    ) -> None:
        """A straight line between two points (x, y)."""
        from matplotlib.lines import Line2D

        xs, ys = [start[0] / WIDTH, end[0] / WIDTH], [1 - start[1] / HEIGHT, 1 - end[1] / HEIGHT]
        page = self.pages[-1]
        page.add_artist(
            Line2D(xs, ys, transform=page.transFigure, color=colour, linewidth=thick, solid_capstyle="butt")
        )

    def rule(self) -> None:
        """A thin line over the whole width at `y`."""
        self.stroke((LEFT, self.y), (WIDTH - LEFT, self.y))

    def axes(self, x: float, y: float, width: float, height: float) -> "Axes":
        """Axes with their top left corner at (x, y)."""
        return self.pages[-1].add_axes((x / WIDTH, 1 - (y + height) / HEIGHT, width / WIDTH, height / HEIGHT))

    def picture(self, data: bytes, x: float, width: float, height: float) -> float:
        """A PNG or JPEG at `y`, as large as it may be; returns its height in points. `y` stays."""
        import numpy as np

        image, wide, high = fitted(data, width, height)
        axes = self.axes(x, self.y, wide, high)
        axes.imshow(np.asarray(image), aspect="auto", interpolation="none")
        axes.set_axis_off()
        return high

    def bytes(self, title: str, foot: str) -> bytes:
        """The PDF. foot: at the left of each page's foot; the page's number is at its right."""
        from matplotlib.backends.backend_pdf import PdfPages

        style = Style(8.5, colour=SOFT)
        out = io.BytesIO()
        # Without a date the same report is the same file.
        with PdfPages(out, metadata={"Title": title, "Creator": "tvad", "CreationDate": None}) as pdf:
            for number, page in enumerate(self.pages, 1):
                self._put(page, cut(foot, style, INNER - 90), style, LEFT, HEIGHT - 40)
                self._put(page, f"page {number} of {len(self.pages)}", style, WIDTH - LEFT, HEIGHT - 40, right=True)
                pdf.savefig(page)
        return out.getvalue()


def fitted(data: bytes, width: float, height: float) -> tuple["Image", float, float]:
    """A picture as PIL has it, and its width and height in points inside (width, height)."""
    from PIL.Image import open as open_picture

    image = open_picture(io.BytesIO(data)).convert("RGB")
    scale = min(width / image.width, height / image.height, MAX_ENLARGED)
    wide, high = scale * image.width, scale * image.height
    image.thumbnail((max(1, round(wide * PICTURE_DPI / 72)), max(1, round(high * PICTURE_DPI / 72))))
    return image, wide, high


def columns(widths: Sequence[float]) -> list[float]:
    """Left edges of columns of these widths."""
    return [LEFT + sum(widths[:i]) for i in range(len(widths))]
