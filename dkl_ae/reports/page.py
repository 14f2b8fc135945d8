"""A report as one HTML page that needs nothing but itself, with its figures as files beside it."""

from __future__ import annotations

import base64
import dataclasses
import html
import math
import pathlib
import typing
from collections.abc import Sequence

from dkl_ae.outputs import save_figure

if typing.TYPE_CHECKING:
    from matplotlib.figure import Figure

PAGE: typing.Final = "report.html"
_DOTS_PER_INCH = 130

_STYLE = """
body { max-width: 62rem; margin: 2rem auto; padding: 0 1rem; font: 16px/1.5 sans-serif; color: #222; background: #fff; }
h1 { margin-bottom: 0; }
h2 { margin-top: 3rem; border-bottom: 1px solid #ccc; }
figure { margin: 1.5rem 0; }
figure img { max-width: 100%; height: auto; }
figcaption { margin-top: 0.3rem; color: #444; }
table { margin: 1.5rem 0; border-collapse: collapse; font-size: 0.9rem; }
th, td { text-align: left; vertical-align: top; padding: 0.15rem 1.2rem 0.15rem 0; border-bottom: 1px solid #eee; }
.warning { padding: 0.5rem 1rem; background: #fff3cd; border-left: 4px solid #d9a400; }
@media print { figure, table { break-inside: avoid; } }
"""


@dataclasses.dataclass(frozen=True, eq=False)
class Picture:
    """A figure with its caption."""

    name: str
    """Of its files."""
    figure: Figure
    caption: str


@dataclasses.dataclass(frozen=True)
class Table:
    head: tuple[str, ...]
    rows: Sequence[Sequence[str]]


@dataclasses.dataclass(frozen=True)
class Callout:
    """What a reader must not overlook."""

    text: str


@dataclasses.dataclass(frozen=True)
class Section:
    title: str
    parts: Sequence[Picture | Table | Callout | str]
    """One after the other; a text is a paragraph."""


def quantity(value: float, unit: str) -> str:
    """A number with its unit, to three digits; a dash for NaN."""
    if math.isnan(value):
        return "-"
    written = f"{value:,.0f}" if 1e3 <= abs(value) < 1e6 else f"{value:.3g}"
    return f"{written} {unit}".rstrip()


def percent(share: float) -> str:
    """A share of something, to four digits at most."""
    return f"{100 * share:.4g} %"


def pluralized(number: int, what: str) -> str:
    """So many of something."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def write_page(folder: pathlib.Path, title: str, sections: Sequence[Section]) -> pathlib.Path:
    """Write the page, and each picture as PNG and SVG, into a folder that is made if need be; returns the page's file.

    Raises OSError when they cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    content = "\n".join(_section(section, folder) for section in sections)
    page = folder / PAGE
    page.write_text(
        "<!DOCTYPE html>\n"
        f'<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{html.escape(title)}</title>\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<style>{_STYLE}</style>\n</head>\n<body>\n<h1>{html.escape(title)}</h1>\n{content}\n</body>\n</html>\n",
        encoding="utf-8",
    )
    return page


def _section(section: Section, folder: pathlib.Path) -> str:
    return "\n".join([f"<h2>{html.escape(section.title)}</h2>", *(_part(part, folder) for part in section.parts)])


def _part(part: Picture | Table | Callout | str, folder: pathlib.Path) -> str:
    match part:
        case Picture():
            return _picture(part, folder)
        case Table():
            head = "".join(f"<th>{html.escape(cell)}</th>" for cell in part.head)
            rows = ("".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in part.rows)
            return "\n".join(["<table>", f"<tr>{head}</tr>", *(f"<tr>{row}</tr>" for row in rows), "</table>"])
        case Callout(text=text):
            return f'<p class="warning">{html.escape(text)}</p>'
        case str():
            return f"<p>{html.escape(part)}</p>"


def _picture(picture: Picture, folder: pathlib.Path) -> str:
    image = folder / f"{picture.name}.png"
    save_figure(picture.figure, image, dpi=_DOTS_PER_INCH)
    # Laid out by now; to do it again takes as long as all the rest.
    picture.figure.set_layout_engine("none")
    save_figure(picture.figure, image.with_suffix(".svg"), "svg")
    embedded = base64.b64encode(image.read_bytes()).decode()
    name, caption = html.escape(picture.name), html.escape(picture.caption)
    return (
        f'<figure id="{name}">\n<img src="data:image/png;base64,{embedded}" alt="{name}">\n'
        f"<figcaption>{caption}</figcaption>\n</figure>"
    )
