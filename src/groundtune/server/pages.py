r"""Templates and forms. Every text is escaped by the template engine; what could steer a reader unseen is shown as its code.

"<b>Ok</b>\u202e"  →  &lt;b&gt;Ok&lt;/b&gt;<span class="code" …>\u202e</span>
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import parse_qsl, urlencode

from groundtune.errors import InputError, MissingExtra
from groundtune.server.door import MOST_BODY, Door

if TYPE_CHECKING:
    from jinja2 import Environment
    from starlette.requests import Request
    from starlette.responses import Response

Done = TypeVar("Done")
MOST_FIELDS = 200
# Joiners that scripts and emoji are written with; all other letters of these categories are shown as codes.
_JOINERS = "\u200c\u200d"
STATIC = {"pages.css": "text/css; charset=utf-8", "pages.js": "text/javascript; charset=utf-8", "icon.svg": "image/svg+xml"}


@cache
def environment() -> Environment:
    """Return the templates, with escaping on and a missing value an error."""
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ImportError:
        raise MissingExtra.of("jinja2", "serve") from None
    made = Environment(
        loader=PackageLoader("groundtune.server"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.filters["seen"] = seen
    made.filters["plain"] = plain
    made.filters["number"] = lambda value: f"{value:,}"
    return made


def render(name: str, **values: Any) -> str:
    """Return a page or a part of one."""
    return environment().get_template(name).render(values)


def refusal(status: int, why: str, onward: str) -> bytes:
    """Return the page of a request that gets no further, or is let in. It needs no cookie, and tells nothing of the project."""
    return render("door.html", status=status, why=why, onward=onward).encode()


def static(name: str) -> bytes:
    """Return a file that pages use."""
    return files("groundtune.server").joinpath("static", name).read_bytes()


def hidden(letter: str) -> bool:
    """Return whether a letter cannot be seen and may change how others are read: controls, marks of direction, tags, private ones."""
    return unicodedata.category(letter) in ("Cc", "Cf", "Co", "Cs", "Cn") and letter not in "\n\t" + _JOINERS


def seen(text: object) -> Any:
    """Return a text escaped, with hidden letters as codes that stand out."""
    from markupsafe import Markup, escape

    made = []
    for letter in str(text).replace("\r\n", "\n"):
        if hidden(letter):
            code = f"\\u{ord(letter):04x}"
            name = unicodedata.name(letter, "a control character")
            made.append(Markup('<span class="code" title="{}">{}</span>').format(name, code))  # noqa: S704 - the arguments are escaped
        else:
            made.append(escape(letter))
    return Markup("").join(made)


def plain(text: object) -> str:
    """Return a text with hidden letters as codes, for where no markup can stand: titles and choices. It still has to be escaped."""
    return "".join(f"\\u{ord(letter):04x}" if hidden(letter) else letter for letter in str(text))


def coded(text: str) -> str:
    """Return JSON that says the same, with hidden letters written as its own escapes, so that a person who edits it sees them."""
    return "".join(json.dumps(letter)[1:-1] if hidden(letter) and letter != "\r" else letter for letter in text)


def codes(text: str) -> str:
    """Return the hidden letters of a text as codes, each once."""
    return ", ".join(dict.fromkeys(f"\\u{ord(letter):04x}" for letter in text if hidden(letter) and letter != "\r"))


async def fields(request: Request, door: Door) -> dict[str, str]:
    """Return a form's fields. Raises ``InputError`` for one that is too large, malformed, or not from a page of ours."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MOST_BODY:
            raise InputError(f"more than {MOST_BODY:,} bytes were sent", "send less at once")
    try:
        text = body.decode("ascii")
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text), max_num_fields=MOST_FIELDS, errors="strict")
    except ValueError:
        raise InputError("what was sent is no form", "load the page again") from None
    found = dict(pairs)
    if len(found) < len(pairs):
        raise InputError("a field of the form stands twice", "load the page again")
    if not door.own_form(found.pop("csrf", "")):
        raise InputError("the form is not one of this page", "load the page again")
    return {name: value.replace("\r\n", "\n") for name, value in found.items()}


def onward(request: Request, where: str, says: str, bar: Callable[[], str]) -> Response:
    """Return what follows a form that was carried out: its next page; to a script, as JSON, where that is and what the frame says now."""
    from starlette.responses import JSONResponse, RedirectResponse

    if request.headers.get("accept") == "application/json":
        return JSONResponse({"next": where, "says": says, "bar": bar()})
    return RedirectResponse(where, 303)


def link(door: Door, path: str, query: Mapping[str, str | None]) -> str:
    """Return an address on this server; empty values are left out."""
    text = urlencode({name: value for name, value in query.items() if value})
    return f"{door.path}{path}" + (f"?{text}" if text else "")


def numbers(text: str, most: int = 30) -> list[int]:
    """Return the numbers of decisions that a window can take back, oldest first: ``"3,7"`` → ``[3, 7]``; anything else is none."""
    parts = [part for part in text.split(",")[-most:] if part.isascii() and part.isdecimal() and len(part) < 10]
    return [int(part) for part in parts]


def taken_back(given: Mapping[str, str]) -> int:
    """Return the number of the decision that a form takes back. Raises ``InputError`` where it names none."""
    if not given.get("number", "").isdecimal():
        raise InputError("there is nothing to take back", "load the page again")
    return int(given["number"][:9])


def latest(text: str, past: Callable[[int], Done | None]) -> Done | None:
    """Return the last of those decisions that can still be taken back; ``past`` knows a decision by its number."""
    return next((done for number in reversed(numbers(text)) if (done := past(number))), None)


def fewer(text: str, number: int) -> str:
    """Return those numbers as text, without one that was taken back."""
    return ",".join(str(item) for item in numbers(text) if item != number)


def more(text: str, number: int) -> str:
    """Return those numbers as text, with a new one."""
    return ",".join(map(str, [*numbers(text), number]))
