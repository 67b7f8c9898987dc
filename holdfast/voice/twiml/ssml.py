"""Turn the content of a `<Say>` into text and SSML for a speech engine.

The SSML is written again from the parsed elements: an element or attribute that is not listed never gets through.
Source: TwiML <Say>, SSML; W3C SSML 1.1.
"""

from __future__ import annotations

import re
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from holdfast.voice.twiml.attributes import Node

MAX_BREAK_S: Final = 10.0
"""Source: TwiML <Say>, <break>: up to 10 seconds."""

ATTRIBUTES: Final = {
    "break": ("strength", "time"),
    "emphasis": ("level",),
    "lang": ("xml:lang",),
    "p": (),
    "phoneme": ("alphabet", "ph"),
    "prosody": ("volume", "rate", "pitch"),
    "s": (),
    "say-as": ("interpret-as", "format", "role"),
    "sub": ("alias",),
    "w": ("role",),
}
"""The elements that may stand in a `<Say>`, with their attributes."""

_TIME = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)(ms|s)\Z", re.ASCII)
_XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"


def markup(node: Node) -> tuple[str, str, tuple[str, ...]]:
    """Return the text alone, the text with its markup, and the warnings. The text is not shortened."""
    warnings: list[str] = []
    text, markup_text = _content(node, warnings)
    return " ".join(text.split()), " ".join(markup_text.split()), tuple(warnings)


def _content(node: Node, warnings: list[str]) -> tuple[str, str]:
    texts, marked = [node.lead], [escape(node.lead)]
    for child in node.children:
        text, mark = _element(child, warnings)
        texts += [text, child.tail]
        marked += [mark, escape(child.tail)]
    return " ".join(texts), "".join(marked)


def _element(node: Node, warnings: list[str]) -> tuple[str, str]:
    text, inside = _content(node, warnings)
    allowed = ATTRIBUTES.get(node.tag)
    if allowed is None:
        warnings.append(f"<{node.tag[:40]}> may not stand in it; its text is spoken")
        return text, inside
    given = {name.replace(_XML_LANG, "xml:lang"): value for name, value in node.attributes.items()}
    kept = {name: given[name] for name in allowed if name in given}
    if node.tag == "break":
        kept = {"time": f"{_break_s(kept.get('time'), kept.get('strength', 'medium'), warnings):g}s"}
    written = "".join(f" {name}={quoteattr(value[:100])}" for name, value in kept.items())
    return text, f"<{node.tag}{written}>{inside}</{node.tag}>"


def _break_s(time: str | None, strength: str, warnings: list[str]) -> float:
    """Return the length of a break in seconds. Source: W3C SSML 1.1 §3.2.3; the lengths of strengths are ours."""
    if time is None:
        return {"none": 0.0, "x-weak": 0.1, "weak": 0.2, "strong": 0.7, "x-strong": 1.2}.get(strength, 0.4)
    found = _TIME.match(time.strip())
    if found is None:
        warnings.append(f"<break time={time[:20]!r}> is neither seconds nor milliseconds; 400 ms are used")
        return 0.4
    return min(MAX_BREAK_S, float(found[1]) / (1000 if found[2] == "ms" else 1))
