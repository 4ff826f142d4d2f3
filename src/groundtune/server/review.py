"""Pages of ``groundtune examples review --web``: one row, pair or rating after another, and a form for each key.

    GET  /rows?status=draft&after=KEY     the next draft behind a row; ``part=card`` without the frame, which a script keeps ready
    POST /rows/decide                     303 to the next one; to a script, as JSON, where that is and what the frame says now

Everything works without the script: links and forms. ``past`` is what this window can take back, so that no window undoes another's work.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from groundtune.errors import StateError
from groundtune.examples import pairs
from groundtune.examples.load import STATUSES
from groundtune.examples.rows import content, written
from groundtune.project.reviewing import Item, Kinds, Review, Wanted, edited
from groundtune.server.door import Door
from groundtune.server.pages import coded, codes, fewer, fields, latest, link, more, onward, render, taken_back

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

# What is asked for by ``kind`` → in words, one and several of them.
KINDS: dict[Kinds, tuple[str, str]] = {
    "": ("row, pair or rating", "rows, pairs and ratings"),
    "rows": ("row", "rows"),
    "pairs": ("pair", "pairs"),
    "ratings": ("rating", "ratings"),
}


def routes(review: Review, door: Door, status: str = "draft") -> Sequence[BaseRoute]:
    """Return what a review serves; ``status`` is what it begins with."""
    from starlette.routing import Route

    pages = Pages(review, door, status)
    return [
        Route("/", pages.show),
        Route("/rows", pages.show),
        Route("/rows/edit", pages.editor),
        Route("/rows/decide", pages.decide, methods=["POST"]),
        Route("/rows/save", pages.save, methods=["POST"]),
        Route("/rows/undo", pages.undo, methods=["POST"]),
    ]


class Pages:
    """The requests of a review. One at a time: a handler never waits in the middle of its work."""

    def __init__(self, review: Review, door: Door, begin: str) -> None:
        self.review, self.door, self.begin = review, door, begin

    # ── shown ──

    async def show(self, request: Request) -> Response:
        """Show the row that is asked for, or the next one, or that there is none left."""
        from starlette.responses import HTMLResponse

        asked = dict(request.query_params)
        query = self._queried(asked)
        item = self._item(asked, _wanted(query))
        part = self._card(item, query)
        if asked.get("part") == "card":
            return HTMLResponse(part)
        title = f"{item.stored.id} · review" if item else "Review"
        return HTMLResponse(render("page.html", door=self.door, title=title, bar=self._bar(query), card=part))

    def _item(self, asked: dict[str, str], want: Wanted) -> Item | None:
        if asked.get("at"):
            return self.review.find(asked["at"])
        if asked.get("after"):
            return self.review.after(asked["after"], want)
        return next(iter(self.review.matching(want)), None)

    def _card(self, item: Item | None, query: dict[str, str]) -> str:
        if item is None:
            left = self.review.matching(_wanted(query))
            here = link(self.door, "/rows", query)
            return render(
                "end.html",
                left=len(left),
                what=_what(query, len(left)),
                again=here,
                here=here,
                done=self.review.tally(),
                result="",
                verb="decided",
            )
        row = item.stored.row
        shown: dict[str, Any] = {
            "door": self.door,
            "item": item,
            "query": query,
            "wrong": self.review.wrong(item),
            "here": link(self.door, "/rows", query | {"at": item.key}),
            "next": link(self.door, "/rows", query | {"after": item.key}),
            "edit": link(self.door, "/rows/edit", query | {"at": item.key}),
            "reasons": self.review.desk(item.kind).reasons,
        }
        if item.kind == "row":
            card = self.review.card(item)
            return render("row.html", card=card, facts=card.facts, **shown)
        field = self.review.pairs.answer_field
        shown["facts"] = [str(row.get(name)) for name in ("status", "as") if row.get(name)]
        shown |= {"reason": row.get("reason"), "source": row.get("source")}
        if item.kind == "rating":
            marks = [name for name, wanted in (("wanted", True), ("unwanted", False)) if row.get("desirable") is wanted]
            return render("rating.html", said=pairs.said(row.get("reply"), field), marked=pairs.marked(row), marks=marks, **shown)
        replies = [{"side": side, "said": pairs.said(row.get(side), field), "marked": side == "chosen"} for side in pairs.sides(item.key)]
        return render("pair.html", replies=replies, **shown)

    def _bar(self, query: dict[str, str]) -> str:
        review = self.review
        left = len(review.matching(_wanted(query)))
        tally = review.tally()
        return render(
            "review_bar.html",
            door=self.door,
            by=review.by,
            query=query,
            left=left,
            what=_what(query, left),
            tally=tally,
            decided=sum(tally.values()),
            last=latest(query.get("past", ""), review.past),
            statuses=["draft", *(item for item in STATUSES if item != "draft"), "any"],
            findings={name: len(rows) for name, rows in review.findings.items()},
            kinds={kind: words for kind, (_, words) in KINDS.items()},
            problems=review.problems(),
        )

    async def editor(self, request: Request) -> Response:
        """Show a row's texts in fields, and the whole of it as JSON."""
        from starlette.responses import HTMLResponse

        asked = dict(request.query_params)
        return HTMLResponse(self._editor(self.review.find(asked.get("at", "")), self._queried(asked)))

    def _editor(self, item: Item, query: dict[str, str], text: str | None = None, wrong: str = "") -> str:
        row = content(item.stored.row)
        evidence = row.get("evidence")
        reply = row.get("reply")
        answer = reply.get(self.review.rows.answer_field) if isinstance(reply, dict) else reply
        return render(
            "edit.html",
            door=self.door,
            title=f"{item.stored.id} · edit",
            item=item,
            query=query,
            back=link(self.door, "/rows", query | {"at": item.key}),
            question=row.get("question") if isinstance(row.get("question"), str) else None,
            answer=answer if isinstance(answer, str) and item.kind != "pair" else None,
            quotes=[
                (number, str(part.get("document")), part["quote"])
                for number, part in enumerate(evidence if isinstance(evidence, list) else ())
                if isinstance(part, dict) and isinstance(part.get("quote"), str)
            ],
            text=coded(text if text is not None else json.dumps(row, indent=2, ensure_ascii=False)),
            wrong=wrong,
            letters=codes(text or written(row)),
            whole=text is not None or item.kind == "pair",
        )

    # ── done ──

    async def decide(self, request: Request) -> Response:
        """Keep a decision, and go on to the next row."""
        given = await fields(request, self.door)
        query, key, version, did = self._queried(given), given.get("key", ""), given.get("version", ""), given.get("did", "")
        if did in ("chosen", "rejected-is-better"):
            done = self.review.better(key, version, "chosen" if did == "chosen" else "rejected")
        elif did in ("wanted", "unwanted"):
            done = self.review.rate(key, version, did == "wanted")
        elif did == "swap":
            done = self.review.swap(key, version)
        else:
            reason = given.get("words", "").strip() or given.get("reason", "")
            done = self.review.decide(key, version, did, reason)
        query["past"] = more(query.get("past", ""), done.number)
        place = {"at": key} if did == "swap" else {"after": key}
        return onward(request, link(self.door, "/rows", query | place), f"{done.name} is {done.status}", lambda: self._bar(query))

    async def save(self, request: Request) -> Response:
        """Keep a row as it was edited, and show it again; what is wrong with the text is shown beside it, and nothing is lost."""
        from starlette.responses import HTMLResponse

        given = await fields(request, self.door)
        query, key, version = self._queried(given), given.get("key", ""), given.get("version", "")
        item = self.review.find(key)
        whole = given.get("whole")
        text = whole if whole is not None else edited(dict(item.stored.row), self.review.rows.answer_field, given)
        try:
            done = self.review.edit(key, version, text)
        except StateError as error:
            # The form that comes back is of the row as it is now: after the message, a second save is meant.
            page = self._editor(item, query, _indented(text), f"{error.message}; nothing was saved")
            return HTMLResponse(page, 409)
        query["past"] = more(query.get("past", ""), done.number)
        return onward(request, link(self.door, "/rows", query | {"at": key}), f"{done.name} is saved, as a draft", lambda: self._bar(query))

    async def undo(self, request: Request) -> Response:
        """Take back a decision of this window, and show its row again."""
        given = await fields(request, self.door)
        query = self._queried(given)
        number = taken_back(given)
        done = self.review.undo(number)
        query["past"] = fewer(query.get("past", ""), number)
        return onward(request, link(self.door, "/rows", query | {"at": done.key}), f"{done.name} is as it was", lambda: self._bar(query))

    def _queried(self, asked: dict[str, str]) -> dict[str, str]:
        """Return what a window looks for and can take back, from a query or a form; what is unknown is left out."""
        kept = {name: asked[name] for name in ("finding", "kind", "past") if asked.get(name)}
        if kept.get("kind") not in KINDS:
            kept.pop("kind", None)
        return {"status": asked["status"] if asked.get("status") in (*STATUSES, "any") else self.begin, **kept}


def _wanted(query: dict[str, str]) -> Wanted:
    status = query["status"]
    kind: Kinds = next((name for name in KINDS if name == query.get("kind")), "")
    return Wanted(statuses=() if status == "any" else (status,), finding=query.get("finding", ""), kind=kind)


def _what(query: dict[str, str], count: int) -> str:
    """Return what is gone through, in words for that many of them."""
    noun = next((words for kind, words in KINDS.items() if kind == query.get("kind", "")), KINDS[""])[count != 1]
    if query["status"] == "draft":
        words = ("draft", "drafts")[count != 1] if "kind" not in query else f"draft {noun}"
    else:
        words = noun if query["status"] == "any" else f"{query['status']} {noun}"
    return words + (f" with “{query['finding']}”" if query.get("finding") else "")


def _indented(text: str) -> str:
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return text
