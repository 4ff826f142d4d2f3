"""One record in a form that others use ↔ what it says here: a question and the wanted answer, or a pair of answers.

chat                {"messages": [{"role": "system", …}, {"role": "user", …}, {"role": "assistant", …}]}       OpenAI
prompt-completion   {"prompt": "…", "completion": "…"}
alpaca              {"instruction": "…", "input": "…", "output": "…"}
sharegpt            {"conversations": [{"from": "human", "value": "…"}, {"from": "gpt", "value": "…"}]}
preference          {"prompt": …, "chosen": …, "rejected": …}, or OpenAI's preferred_output and non_preferred_output
rating              {"prompt": …, "completion": …, "label": true}, or this project's own: {"question": …, "reply": …, "desirable": true}
csv                 columns named as the fields of a row: question, answer or reply.NAME, and any other
answers             what this project's arms answered, as groundtune ask --json prints it
rows                this project's own form
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

FORMS = ("chat", "prompt-completion", "alpaca", "sharegpt", "preference", "rating", "csv", "answers", "rows")
ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "model": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
}
OWN = ("id", "asker", "kind", "split", "split_group", "question")


class Unfit(Exception):
    """A record that cannot be an example; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What a record says. ``reply`` is set where it came as an object, else ``answer`` is text.

    ``rejected`` makes it a preference pair, and ``desirable`` a rating.

    ``own`` holds fields of a row that the record brings itself; ``doubt`` says why somebody should look at it.
    """

    question: str
    answer: str = ""
    reply: Mapping[str, Any] | None = None
    rejected: str | Mapping[str, Any] | None = None
    desirable: bool | None = None
    system: str = ""
    own: Mapping[str, Any] = field(default_factory=dict)
    doubt: str = ""


Turn = tuple[str, str]


def form_of(value: Mapping[str, Any]) -> str | None:
    """Return which form a record has, by its keys, or ``None``. A row of a table is told by its file, not by this."""
    signs: tuple[tuple[str, tuple[str, ...]], ...] = (
        ("answers", ("question", "arm", "said")),
        ("rating", ("question", "reply", "desirable")),
        ("rows", ("question", "reply")),
        ("preference", ("chosen", "rejected")),
        ("preference", ("preferred_output", "non_preferred_output")),
        ("chat", ("messages",)),
        ("sharegpt", ("conversations",)),
        ("alpaca", ("instruction", "output")),
        ("prompt-completion", ("prompt", "completion")),
    )
    # A label that is a word is a class, and the record an example of it.
    if isinstance(value.get("label"), bool) and "prompt" in value and "completion" in value:
        return "rating"
    return next((form for form, keys in signs if all(key in value for key in keys)), None)


def take(form: str, value: Mapping[str, Any], *, turns: str = "refuse", columns: Mapping[str, str] | None = None) -> list[Taken]:
    """Return what a record says; several where a conversation is taken apart. Raises ``Unfit`` with the reason.

    ``turns`` is what happens to a conversation of several questions: ``refuse``, ``last`` or ``each``. ``columns`` maps fields to the
    columns of a table.
    """
    if form in ("chat", "sharegpt"):
        return _conversation(_turns(value["messages" if form == "chat" else "conversations"]) if _has(value, form) else [], turns)
    return [_READERS[form](value) if form != "csv" else _cells(value, columns or {})]


def _has(value: Mapping[str, Any], form: str) -> bool:
    key = "messages" if form == "chat" else "conversations"
    if key not in value:
        raise Unfit(f"{key} is missing")
    if form == "chat" and (value.get("tools") or value.get("functions")):
        raise Unfit("it calls tools, which an example here cannot hold")
    return True


def _turns(messages: Any) -> list[Turn]:
    if not isinstance(messages, list) or not messages:
        raise Unfit("the conversation is no list of messages, or an empty one")
    turns: list[Turn] = []
    for number, message in enumerate(messages, start=1):
        if not isinstance(message, dict):
            raise Unfit(f"message {number} is {type(message).__name__}, expected an object")
        said = message.get("role", message.get("from"))
        if not isinstance(said, str) or said.casefold() not in ROLES:
            raise Unfit(f"message {number} has the role {said!r}; known: {', '.join(ROLES)}")
        if message.get("tool_calls") or message.get("function_call"):
            raise Unfit(f"message {number} calls a tool, which an example here cannot hold")
        turns.append((ROLES[said.casefold()], _said(message.get("content", message.get("value")), f"message {number}")))
    return turns


def _said(content: Any, where: str) -> str:
    """Return a message's text, which may come in parts; a picture or a sound is refused."""
    if isinstance(content, list):
        parts = [part.get("text") if isinstance(part, dict) and part.get("type") == "text" else None for part in content]
        if not all(isinstance(part, str) for part in parts):
            raise Unfit(f"{where} holds something other than text")
        content = "".join(str(part) for part in parts)
    if not isinstance(content, str) or not content.strip():
        raise Unfit(f"{where} is empty" if content is None or isinstance(content, str) else f"{where} is no text")
    return content


def _conversation(turns: Sequence[Turn], mode: str) -> list[Taken]:
    system = "\n\n".join(text for role, text in turns if role == "system")
    talk = [turn for turn in turns if turn[0] != "system"]
    if any(role == "system" for role, _ in turns[1:]):
        raise Unfit("a system message stands in the middle; it belongs at the beginning")
    for number, (role, _) in enumerate(talk):
        wanted = "user" if number % 2 == 0 else "assistant"
        if role != wanted:
            raise Unfit(f"wrong roles: turn {number + 1} is of the {role}, expected the {wanted}")
    if not talk or talk[-1][0] != "assistant":
        raise Unfit("wrong roles: it does not end with the assistant" if talk else "it holds no question")
    exchanges = [(talk[at][1], talk[at + 1][1]) for at in range(0, len(talk), 2)]
    if len(exchanges) > 1 and mode == "refuse":
        raise Unfit(f"{len(exchanges)} questions in one conversation, and an example holds one: import with --turns last or --turns each")
    chosen = exchanges[-1:] if mode == "last" else exchanges
    doubt = "out of a longer conversation: does it stand alone?" if len(exchanges) > 1 else ""
    return [Taken(question=question, answer=answer, system=system, doubt=doubt) for question, answer in chosen]


def _text(value: Mapping[str, Any], name: str) -> str:
    said = value.get(name)
    if not isinstance(said, str) or not said.strip():
        raise Unfit(f"{name} is {'missing' if said is None else 'empty' if said == '' else 'no text'}")
    return said


def _prompt_completion(value: Mapping[str, Any]) -> Taken:
    if isinstance(value.get("prompt"), list) and isinstance(value.get("completion"), list):
        [taken] = _conversation(_turns([*value["prompt"], *value["completion"]]), "refuse")
        return taken
    return Taken(question=_text(value, "prompt"), answer=_text(value, "completion").strip())


def _rating(value: Mapping[str, Any]) -> Taken:
    """Take a reply that was rated by itself: TRL's unpaired preferences, or a rating as it is kept here."""
    name = "label" if "label" in value else "desirable"
    desirable = value.get(name)
    # 1 and 0 are no answers: a column of numbers may mean stars, or places.
    if not isinstance(desirable, bool):
        raise Unfit(f"{name} is {'missing' if desirable is None else repr(desirable)}; expected true or false")
    own = {key: value[key] for key in ("id", "source") if isinstance(value.get(key), str)}
    if "prompt" not in value:
        own |= {"asker": value["as"]} if isinstance(value.get("as"), str) else {}
        reply = value.get("reply")
        said = {"reply": reply} if isinstance(reply, dict) and reply else {"answer": _text(value, "reply")}
        return Taken(question=_text(value, "question"), desirable=desirable, own=own, **said)
    taken = _prompt_completion(value)
    return Taken(question=taken.question, answer=taken.answer, system=taken.system, desirable=desirable, own=own)


def _alpaca(value: Mapping[str, Any]) -> Taken:
    more = value.get("input") or ""
    if not isinstance(more, str):
        raise Unfit("input is no text")
    question = _text(value, "instruction") + (f"\n\n{more}" if more.strip() else "")
    return Taken(question=question, answer=_text(value, "output"), system=str(value.get("system") or ""))


def _preference(value: Mapping[str, Any]) -> Taken:
    own = {key: value[key] for key in ("id", "source") if isinstance(value.get(key), str)}
    if "preferred_output" in value:
        begin = value.get("input")
        asked = _turns(begin.get("messages") if isinstance(begin, dict) else None)
        pair = [_answered(asked, value.get(key), key) for key in ("preferred_output", "non_preferred_output")]
    elif "prompt" not in value and "question" in value:
        sides = [value.get("chosen"), value.get("rejected")]
        if not all(isinstance(side, str | dict) and side for side in sides):
            raise Unfit("chosen and rejected must each be a text or an object")
        own |= {"asker": value["as"]} if isinstance(value.get("as"), str) else {}
        return _pair(_text(value, "question"), sides[0], sides[1], "", own)
    else:
        begin = value.get("prompt", value.get("conversations"))
        if begin is None and isinstance(value.get("chosen"), list):
            # The prompt stands in both, as in conversations that were ranked as a whole.
            asked, pair = [], [_answered([], value.get(key), key) for key in ("chosen", "rejected")]
        else:
            asked = _turns(begin) if isinstance(begin, list) else [("user", _text(value, "prompt"))]
            pair = [_answered(asked, value.get(key), key) for key in ("chosen", "rejected")]
    if pair[0].question != pair[1].question:
        raise Unfit("chosen and rejected answer different questions")
    return _pair(pair[0].question, pair[0].answer, pair[1].answer, pair[0].system, own)


def _pair(question: str, chosen: Any, rejected: Any, system: str, own: Mapping[str, Any]) -> Taken:
    if chosen == rejected:
        raise Unfit("chosen and rejected are the same")
    said = {"reply": chosen} if isinstance(chosen, dict) else {"answer": chosen}
    return Taken(question=question, rejected=rejected, system=system, own=own, **said)


def _answered(asked: Sequence[Turn], side: Any, name: str) -> Taken:
    # One message may stand alone, without a list around it.
    side = [side] if isinstance(side, dict) else side
    more = _turns(side) if isinstance(side, list) else [("assistant", _said(side, name))]
    whole = [*asked, *more]
    if (questions := sum(role == "user" for role, _ in whole)) > 1:
        raise Unfit(f"{questions} questions in one conversation, and a pair holds one")
    [taken] = _conversation(whole, "refuse")
    return taken


def _answer_log(value: Mapping[str, Any]) -> Taken:
    """Take an answer of an arm: its citations become evidence; what failed is of no use."""
    if value.get("failure"):
        raise Unfit(f"the answer failed: {value['failure']}")
    cited = value.get("cited") or []
    if not isinstance(cited, list) or not all(isinstance(item, dict) for item in cited):
        raise Unfit("cited is no list of objects")
    evidence = [
        {"document": str(item.get("document_id", "")).removeprefix("document:"), "quote": str(item.get("quote", ""))} for item in cited
    ]
    reply = value.get("reply")
    own: dict[str, Any] = {"asker": value.get("asker"), "kind": "refuse" if value.get("refused") else "answerable"}
    own["evidence"] = [] if value.get("refused") else evidence
    return Taken(
        question=_text(value, "question"),
        answer="" if isinstance(reply, dict) else _text(value, "said"),
        reply=reply if isinstance(reply, dict) else None,
        own={key: item for key, item in own.items() if item is not None},
        doubt=f"said by the arm {value.get('arm')!r}, not by a person",
    )


def _row(value: Mapping[str, Any]) -> Taken:
    if not isinstance(value.get("reply"), dict):
        raise Unfit("reply is no object")
    own = {key: item for key, item in value.items() if key not in ("question", "reply", "status", "reason", "reviewed", "origin")}
    return Taken(question=_text(value, "question"), reply=value["reply"], own=own)


def _columns(value: Mapping[str, Any]) -> str:
    """Return the columns that were found; where there is but one, the cells are most likely apart by something else."""
    names = list(value)
    listed = ", ".join(repr(name) for name in names[:8]) + (" …" if len(names) > 8 else "")
    return listed if len(names) > 1 else f"{listed} alone: cells have to be apart by a comma, a semicolon or a tab"


def _cells(value: Mapping[str, Any], columns: Mapping[str, str]) -> Taken:
    """Take a row of a table. ``columns`` says which column a field is in; a field that it leaves out is in the column of its own name."""
    there = {name: column for name, column in columns.items() if column in value}
    used = set(columns.values())
    cells = {column: column for column in value if column not in used} | there
    own: dict[str, Any] = {}
    reply: dict[str, Any] = {}
    for name, column in cells.items():
        said = uncovered(str(value[column]))
        if name.startswith("reply."):
            reply[name.removeprefix("reply.")] = said
        elif name.startswith("filter."):
            own.setdefault("filter", {})[name.removeprefix("filter.")] = said
        elif name in OWN:
            own[name] = said
        elif name == "readers":
            own[name] = [part.strip() for part in said.split(",") if part.strip()]
    if "document" in cells and "quote" in cells:
        own["evidence"] = [{"document": uncovered(str(value[cells["document"]])), "quote": uncovered(str(value[cells["quote"]]))}]
    question = own.pop("question", "")
    answer = uncovered(str(value[cells["answer"]])) if "answer" in cells else ""
    if not question.strip():
        raise Unfit(f"no question in its columns ({_columns(value)}): name the right one with --column question=NAME")
    if not reply and not answer.strip():
        raise Unfit(f"no answer in its columns ({_columns(value)}): name the right one with --column answer=NAME or reply.FIELD=NAME")
    return Taken(question=question, answer=answer, reply=reply or None, own=own)


_READERS: Mapping[str, Callable[[Mapping[str, Any]], Taken]] = {
    "prompt-completion": _prompt_completion,
    "alpaca": _alpaca,
    "preference": _preference,
    "rating": _rating,
    "answers": _answer_log,
    "rows": _row,
}


# ── the way out ──

STARTS = ("=", "+", "-", "@", "\t", "\r", "'")


def covered(cell: str) -> str:
    """Return a cell that no spreadsheet takes for a formula: one that begins like one gets an apostrophe in front."""
    return f"'{cell}" if cell.startswith(STARTS) else cell


def uncovered(cell: str) -> str:
    """Take away the apostrophe that ``covered`` put in front."""
    return cell[1:] if cell[:1] == "'" and cell[1:].startswith(STARTS) else cell


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One row on its way out: the messages before the reply, and the reply as the model should write it."""

    row: Mapping[str, Any]
    system: str
    question: str
    reply: str


def give(form: str, exchange: Exchange) -> dict[str, Any]:
    """Return a row in another form. Raises ``ValueError`` for a form that is no form of single records."""
    question, reply, system = exchange.question, exchange.reply, exchange.system
    if form == "chat":
        first = [{"role": "system", "content": system}] if system else []
        return {"messages": [*first, {"role": "user", "content": question}, {"role": "assistant", "content": reply}]}
    if form == "prompt-completion":
        return {"prompt": question, "completion": reply}
    if form == "alpaca":
        return {"instruction": question, "input": "", "output": reply} | ({"system": system} if system else {})
    if form == "sharegpt":
        first = [{"from": "system", "value": system}] if system else []
        return {"conversations": [*first, {"from": "human", "value": question}, {"from": "gpt", "value": reply}]}
    if form == "rows":
        return dict(exchange.row)
    if form == "csv":
        return _flat(exchange.row)
    raise ValueError(f"nothing is exported as {form!r}")


def _flat(row: Mapping[str, Any]) -> dict[str, str]:
    evidence = (row.get("evidence") or [{}])[0]
    cells = {name: row.get(name, "") for name in OWN} | {"document": evidence.get("document", ""), "quote": evidence.get("quote", "")}
    cells |= {"readers": ",".join(row["readers"])} if row.get("readers") else {}
    cells |= {f"filter.{name}": value for name, value in (row.get("filter") or {}).items()}
    cells |= {f"reply.{name}": value if isinstance(value, str) else json.dumps(value) for name, value in row["reply"].items()}
    return {name: covered(str(value)) for name, value in cells.items()}


def table(rows: Iterable[Mapping[str, str]]) -> str:
    """Return cells as CSV with one header over all of them."""
    import csv
    import io

    listed = list(rows)
    header = list(dict.fromkeys(name for row in listed for name in row))
    stream = io.StringIO()
    writer = csv.DictWriter(stream, header, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(listed)
    return stream.getvalue()
