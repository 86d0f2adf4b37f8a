"""Readers of reports that share nothing with what writes them: GitHub's runner, a Markdown page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lxml import html
from markdown_it import MarkdownIt

INERT = {
    "html", "body", "div", "h3", "p", "code", "table", "thead", "tbody", "tr", "th", "td", "details", "summary", "span",
    "ul", "li", "em",
}  # fmt: skip
"""Elements that a report is made of; none of them does anything."""


@dataclass(frozen=True)
class Annotation:
    """A command that the runner has understood."""

    command: str
    properties: dict[str, str]
    message: str


def runner_command(line: str) -> Annotation | None:
    """What GitHub's runner makes of a line: blanks around it do not matter, what has no `::` twice is no command."""
    line = line.strip()
    if not line.startswith("::") or (end := line.find("::", 2)) < 0:
        return None
    command, _, told = line[2:end].partition(" ")
    properties = {}
    for each in filter(None, told.strip().split(",")):
        name, _, value = each.partition("=")
        for code, character in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
            value = value.replace(code, character)
        properties[name.strip()] = value
    message = line[end + 2 :].replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%")
    return Annotation(command, properties, message)


def annotations(written: str) -> list[Annotation]:
    """The commands of a report that holds nothing else; a line ends where the runner's does."""
    lines = written.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    assert lines.pop() == ""
    found = [runner_command(line) for line in lines]
    assert None not in found
    return [each for each in found if each is not None]


def page(written: str) -> Any:
    """The page that a Markdown parser with tables, strike-through and HTML makes of a text; all of it is inert."""
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    tree = html.document_fromstring(f"<div>{parser.render(written)}</div>")
    for element in tree.iter():
        if isinstance(element.tag, str):
            assert element.tag in INERT, f"<{element.tag}> in {written[:2000]!r}"
            assert not element.attrib, f"<{element.tag} {dict(element.attrib)}>"
        else:
            assert element.text == " etgraph check "
    return tree


def texts(element: Any) -> str:
    """The text that a reader sees of an element."""
    return str(element.text_content()).strip()
