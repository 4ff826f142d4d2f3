"""Pages of ``groundtune audit FILE --web``: one logged answer after another, what checkers propose, a key for each label; and the result.

GET  /answers?show=todo&after=response:3f…   the next one without a label of this person
POST /answers/give                           303 to the next one; to a script, as JSON, where that is and what the frame says now
GET  /result                                 shares with their intervals, what they point to, and how far people agree
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from groundtune.decisions.audit.labels import Labels
from groundtune.decisions.audit.propose import LABELS
from groundtune.decisions.audit.responses import Response as Logged
from groundtune.decisions.audit.section import section
from groundtune.project.labelling import NONE, SHOWS, Labelling, Wanted
from groundtune.server.door import Door
from groundtune.server.pages import fewer, fields, latest, link, more, onward, render, taken_back

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

# The keys of the terminal.
KEYS = dict(zip(LABELS, "fotrsn", strict=True))
OPEN = 3  # passages that are shown without a click


def routes(labelling: Labelling, door: Door, show: str = "todo") -> Sequence[BaseRoute]:
    """Return what an audit serves; ``show`` is what it begins with."""
    from starlette.routing import Route

    pages = Pages(labelling, door, show)
    return [
        Route("/", pages.show),
        Route("/answers", pages.show),
        Route("/answers/give", pages.give, methods=["POST"]),
        Route("/answers/undo", pages.undo, methods=["POST"]),
        Route("/result", pages.result),
    ]


class Pages:
    """The requests of an audit. One at a time: a handler never waits in the middle of its work."""

    def __init__(self, labelling: Labelling, door: Door, begin: str) -> None:
        self.labelling, self.door, self.begin = labelling, door, begin

    async def show(self, request: Request) -> Response:
        """Show the answer that is asked for, or the next one, or that there is none left."""
        from starlette.responses import HTMLResponse

        asked = dict(request.query_params)
        query = self._queried(asked)
        there = self.labelling.labels()
        logged = self._logged(asked, _wanted(query), there)
        part = self._card(logged, query, there)
        if asked.get("part") == "card":
            return HTMLResponse(part)
        title = f"line {logged.line} · audit" if logged else "Audit"
        return HTMLResponse(render("page.html", door=self.door, title=title, bar=self._bar(query, there), card=part))

    def _logged(self, asked: dict[str, str], want: Wanted, there: Labels) -> Logged | None:
        if asked.get("at"):
            return self.labelling.find(asked["at"])
        if asked.get("after"):
            return self.labelling.after(asked["after"], want, there)
        return next(iter(self.labelling.answers(want, there)), None)

    def _card(self, logged: Logged | None, query: dict[str, str], there: Labels) -> str:
        labelling = self.labelling
        if logged is None:
            left = labelling.answers(_wanted(query), there)
            here = link(self.door, "/answers", query)
            done = {"labelled": labelling.labelled(there)}
            result = link(self.door, "/result", query)
            return render(
                "end.html", left=len(left), what=_what(query, len(left)), again=here, here=here, done=done, result=result, verb="labelled"
            )
        proposals = labelling.proposals(logged.id)
        return render(
            "answer.html",
            door=self.door,
            logged=logged,
            query=query,
            proposals=proposals,
            keys=KEYS,
            mine=labelling.mine(there).get(logged.id, ""),
            open=OPEN,
            here=link(self.door, "/answers", query | {"at": logged.id}),
            next=link(self.door, "/answers", query | {"after": logged.id}),
        )

    def _bar(self, query: dict[str, str], there: Labels) -> str:
        labelling = self.labelling
        left = len(labelling.answers(_wanted(query), there))
        last = latest(query.get("past", ""), labelling.past)
        return render(
            "audit_bar.html",
            door=self.door,
            by=labelling.labeller,
            query=query,
            left=left,
            what=_what(query, left),
            done=labelling.labelled(there),
            of=len(labelling.audit.responses),
            last=last,
            last_line=labelling.find(last.response).line if last else 0,
            shows=SHOWS,
            show=query["show"],
            proposals=[*LABELS, NONE],
            changed=labelling.log.name if labelling.log_changed() else "",
            result=link(self.door, "/result", query),
        )

    async def give(self, request: Request) -> Response:
        """Keep a label, and go on to the next answer."""
        given = await fields(request, self.door)
        query, name = self._queried(given), given.get("response", "")
        done = self.labelling.give(name, given.get("label", ""), given.get("seen") or None, _seconds(given.get("seconds", "")))
        query["past"] = more(query.get("past", ""), done.number)
        where = link(self.door, "/answers", query | {"after": name})
        says = f"line {self.labelling.find(name).line}: {done.label}"
        return onward(request, where, says, lambda: self._bar(query, self.labelling.labels()))

    async def undo(self, request: Request) -> Response:
        """Take back a label of this window, and show its answer again."""
        given = await fields(request, self.door)
        query = self._queried(given)
        number = taken_back(given)
        done = self.labelling.undo(number)
        query["past"] = fewer(query.get("past", ""), number)
        line = self.labelling.find(done.response).line
        says = f"line {line}: {done.label} again" if done.label else f"line {line} is without a label again"
        where = link(self.door, "/answers", query | {"at": done.response})
        return onward(request, where, says, lambda: self._bar(query, self.labelling.labels()))

    async def result(self, request: Request) -> Response:
        """Show what the labels of all come to."""
        from starlette.responses import HTMLResponse

        made = section(self.labelling.result())
        back = link(self.door, "/answers", self._queried(dict(request.query_params)))
        return HTMLResponse(render("result.html", door=self.door, title=made.title, made=made, back=back, file=self.labelling.audit.path))

    def _queried(self, asked: dict[str, str]) -> dict[str, str]:
        """Return what a window looks for and can take back, from a query or a form; what is unknown is left out."""
        kept = {name: asked[name] for name in ("proposal", "past") if asked.get(name)}
        if kept.get("proposal") not in (*LABELS, NONE):
            kept.pop("proposal", None)
        return {"show": asked["show"] if asked.get("show") in SHOWS else self.begin, **kept}


def _wanted(query: dict[str, str]) -> Wanted:
    return Wanted(show=query["show"], proposal=query.get("proposal", ""))


def _what(query: dict[str, str], count: int) -> str:
    """Return what is gone through, in words for that many of them."""
    shown = {"todo": " to label", "mine": " that you labelled", "disputed": " that people dispute", "all": ""}
    noun = "answer" if count == 1 else "answers"
    return noun + shown[query["show"]] + (f" with “{query['proposal']}” proposed" if query.get("proposal") else "")


def _seconds(text: str) -> float | None:
    """Return how long a person looked, as the page's script says; nothing where it says none that can be."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0 else None
