"""An HTML page or an SVG picture, read as a browser would: elements, attributes, text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "input", "br", "hr"}  # have no end


@dataclass
class Element:
    tag: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list[Element] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All below, with single blanks."""
        return " ".join("".join(self.parts).split())

    @property
    def classes(self) -> list[str]:
        return self.attributes.get("class", "").split()

    def all(self, tag: str, *classes: str) -> list[Element]:
        """Elements below of this tag and these classes."""
        return [
            item for item in self.below() if item.tag == tag and set(classes) <= set(item.classes)
        ]

    def below(self) -> Iterator[Element]:
        for child in self.children:
            yield child
            yield from child.below()


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open = [Element("document")]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.open[-1].children.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open[-1].children.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().tag == tag, f"{tag} is closed where it is not open"

    def handle_data(self, data: str) -> None:
        for element in self.open:
            element.parts.append(data)


def read_page(text: str) -> Element:
    """What a page's elements are; each is closed where it was opened."""
    reader = _Reader()
    reader.feed(text)
    reader.close()
    assert [item.tag for item in reader.open] == ["document"]
    return reader.open[0]


def pairs_of(card: Element) -> list[tuple[str, str]]:
    """The terms of its list and what stands at them."""
    terms = [item.text for item in card.all("dt")]
    return list(zip(terms, (item.text for item in card.all("dd")), strict=True))
