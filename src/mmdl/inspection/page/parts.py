"""What a page is made of: sections of paragraphs, figures and tables, as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from mmdl.inspection.drawing.picture import Picture


class Figure(NamedTuple):
    """A picture with its caption.

    Attributes:
        name: Name of its file, without number and suffix.
        picture: The drawing.
        alt: What it shows, for those who can't see it.
        caption: Below it; shape and range of the values.
    """

    name: str
    picture: Picture
    alt: str
    caption: str


class Row(NamedTuple):
    """Figures side by side.

    Attributes:
        figures: From left to right.
    """

    figures: Sequence[Figure]


class Table(NamedTuple):
    """A table.

    Attributes:
        columns: Headings.
        rows: Cells; the words `ok` and `FAIL` in a first column become badges.
        caption: Above it.
        numeric: Indices of the columns that hold numbers.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str
    numeric: frozenset[int] = frozenset()


class Chain(NamedTuple):
    """The stages of a network as a row of words with arrows.

    Attributes:
        stages: The words.
    """

    stages: Sequence[str]


Block = str | Figure | Row | Table | Chain
"""A string is a paragraph."""


class Section(NamedTuple):
    """A part of the page with a heading.

    Attributes:
        title: The heading.
        blocks: What is in it.
        level: 2, or 3 for a part of the section before.
    """

    title: str
    blocks: Sequence[Block]
    level: int = 2


class Page(NamedTuple):
    """A whole page.

    Attributes:
        title: In the window's title and the first heading.
        lead: Below it: the prediction.
        facts: Short facts: name and value.
        hero: Figures beside the lead.
        sections: The rest.
        notes: At the end: how it was computed, and what does not apply.
    """

    title: str
    lead: str
    facts: Sequence[tuple[str, str]]
    hero: Sequence[Figure]
    sections: Sequence[Section]
    notes: Sequence[str]

    def figures(self) -> list[Figure]:
        """All figures in the order of the page."""
        found = list(self.hero)
        for section in self.sections:
            for block in section.blocks:
                if isinstance(block, Figure):
                    found.append(block)
                elif isinstance(block, Row):
                    found += block.figures
        return found
