from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundtune.chunks.split import split
from groundtune.documents.load import read
from groundtune.models.hashed import open as hashed
from groundtune.passages.conflicts import MOST, conflicts
from groundtune.passages.figures import figures
from groundtune.types import Chunk, Document, Passage

HARBOUR = Path(__file__).resolve().parents[2] / "examples" / "harbour"


def passage(document: str, text: str, *, headings: tuple[str, ...] = (), title: str = "Slots", **metadata: str) -> Passage:
    chunk = Chunk(
        id=f"chunk:{document}", document_id=f"document:{document}", document_hash="0", ordinal=0, text=text, start=100,
        end=100 + len(text), heading_path=headings, title=title, readers=frozenset(["everyone"]), tokens=9, metadata=metadata,
    )  # fmt: skip
    return Passage(chunk=chunk, rank=1, score=0.5, similarity=None, found_by={"bm25": 1}, allowed_by=("everyone",))


@pytest.mark.parametrize(
    ("sentence", "kind", "value"),
    [
        ("until 4 hours before", "duration", 14_400),
        ("until one hour before", "duration", 3_600),
        ("for 60 minutes", "duration", 3_600),
        ("kept for 2 years", "months", 24),
        ("kept for 24 months", "months", 24),
        ("costs EUR 1,150 a month", "eur", 1150),
        ("costs € 99.50", "eur", 99.5),
        ("costs 390 EUR", "eur", 390),
        ("99.9 % of the time", "percent", 99.9),
        ("up to 20 MB", "bytes", 2e7),
        ("on 30 June 2027", "date", 20_270_630),
        ("on 2027-06-30", "date", 20_270_630),
        ("at 02:30 site time", "clock", 230),
        ("signed with SHA-256", "sha", 256),
        ("at most 25 open slots", "# open", 25),
        ("on port 443.", "port #", 443),
        ("tried 5 times", "# tim", 5),
        ("Within 10 seconds", "duration", 10),
        ("within 3 working days", "working days", 3),
    ],
)
def test_a_figure_is_read_with_its_kind(sentence: str, kind: str, value: float) -> None:
    assert list(figures(sentence).given.get(kind, {})) == [pytest.approx(value)]


def test_working_days_are_shown_whole_and_are_not_days() -> None:
    assert figures("It is given back within 3 working days.").given == {"working days": {3.0: "3 working days"}}


@pytest.mark.parametrize(
    "sentence", ["Harbour 4 cannot move a slot", "since v5 it can", "in version 5 it can", "see Step 2", "another one"]
)
def test_a_number_in_a_name_is_no_figure(sentence: str) -> None:
    assert figures(sentence).given == {}


@given(st.text(max_size=120))
def test_any_text_is_read(text: str) -> None:
    for values in figures(text).given.values():
        assert all(written for written in values.values())


V4 = passage(
    "v4/slots.html",
    "A slot can be cancelled without a fee until 4 hours before it begins. Ask the desk.",
    headings=("Cancelling",), version="4", date="2025-11-04", product="harbour",
)  # fmt: skip
V5 = passage(
    "v5/slots.md",
    "Hello.\n\nA slot can be cancelled free of charge until 2 hours before it begins.",
    headings=("Cancelling",), version="5", date="2026-06-09", product="harbour",
)  # fmt: skip


def test_two_versions_that_differ_in_a_figure_are_shown_newest_first() -> None:
    for order in ((V4, V5), (V5, V4)):
        [found] = conflicts(order)
        assert found.newer and (found.first.version, found.first.date, found.first.says) == ("5", "2026-06-09", "2 hours")
        assert (found.second.version, found.second.date, found.second.says) == ("4", "2025-11-04", "4 hours")
        assert found.first.text == "A slot can be cancelled free of charge until 2 hours before it begins."
        assert V5.chunk.text[found.first.start - 100 : found.first.end - 100] == found.first.text


def test_the_same_in_other_units_is_no_conflict() -> None:
    one = passage("a.md", "Support answers a ticket within 2 hours on working days.")
    two = passage("b.md", "Support answers a ticket within 120 minutes on working days.")
    assert conflicts([one, two]) == ()


def test_without_versions_or_dates_neither_is_called_newer() -> None:
    one = passage("a.md", "Support answers a ticket within 2 hours on working days.")
    two = passage("b.md", "Support answers a ticket within 3 hours on working days.")
    [found] = conflicts([one, two])
    assert not found.newer and found.first.says == "2 hours" and found.first.version == ""


def test_of_one_version_the_later_date_is_the_newer() -> None:
    one = passage("a.md", "Support answers a ticket within 2 hours on working days.", date="2025-12-31")
    two = passage("b.md", "Support answers a ticket within 3 hours on working days.", date="2026-01-05")
    [found] = conflicts([one, two])
    assert found.newer and found.first.says == "3 hours"


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("Invoices are kept for 10 years in the archive.", "Drivers may wait for 2 years at the gate."),
        ("Attachments are kept for 12 months after the visit.", "Bookings are kept for 24 months after the visit."),
        ("A slot lasts 30 minutes at every gate.", "A slot lasts 15, 30 or 45 minutes at every gate."),
        ("A slot lasts 30 minutes at every gate.", "A slot lasts 30 minutes at every gate."),
        ("1. ", "2. "),
        ("Released on 3 March 2026.", "Released on 18 November 2025."),
        ("In Harbour 4 a slot can be moved by the planner.", "In Harbour 5 a slot can be moved by the planner."),
    ],
)
def test_what_speaks_of_something_else_or_says_the_same_is_no_conflict(left: str, right: str) -> None:
    assert conflicts([passage("a.md", left), passage("b.md", right)]) == ()


def test_one_document_does_not_contradict_itself() -> None:
    text = "A slot can be booked 4 hours ahead of its start. A slot can be booked 2 hours ahead of its start."
    assert conflicts([passage("a.md", text)]) == ()
    assert conflicts([]) == ()


def test_rows_of_tables_are_compared_as_sentences() -> None:
    table = "| What | How long |\n|---|---|\n| Mobile number of the driver | {} days after the visit |\n"
    [found] = conflicts([passage("a.md", table.format(30)), passage("b.md", table.format(60))])
    assert {found.first.says, found.second.says} == {"30 days", "60 days"}


def test_many_conflicts_are_cut_and_each_sentence_is_in_one() -> None:
    texts = [
        " ".join(f"The {word} fee of the yard is {number + shift} EUR for each truck." for number, word in enumerate(WORDS))
        for shift in (0, 50)
    ]
    found = conflicts([passage("a.md", texts[0]), passage("b.md", texts[1])])
    assert len(found) == MOST
    assert len({(item.first.chunk_id, item.first.start) for item in found}) == MOST


WORDS = ["night", "storage", "crane", "weekend", "holiday", "cleaning", "parking", "weighing"]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from(["4 hours", "2 hours", "Slots", "end", ".", "\n", "|", "# ", "€ 5", "May 3", " "]), max_size=30))
def test_any_two_passages_are_compared_and_what_is_quoted_stands_there(parts: list[str]) -> None:
    text = "Slots end 9 hours later. " + " ".join(parts)
    one, two = passage("a.md", text), passage("b.md", "Slots end 8 hours later. Slots cost € 7.")
    for item in conflicts([one, two]):
        for said in (item.first, item.second):
            held = one.chunk if said.document_id == one.chunk.document_id else two.chunk
            assert held.text[said.start - 100 : said.end - 100] == said.text and said.says


# ── the intended contradictions of the example: versions 4 and 5 of a page ──

INTENDED = [
    ("slots", "4 hours", "2 hours"),
    ("slots", "14 days, one hour", "28 days, 30 minutes"),
    ("webhooks", "5 times, one hour", "12 times, 24 hours"),
    ("webhooks", "SHA-1", "SHA-256"),
    ("api-access", "60 requests", "300 requests"),
    ("webhooks", "10 seconds", "5 seconds"),
]


@pytest.fixture(scope="module")
def harbour() -> dict[str, Document]:
    return {document.id: document for document in read(HARBOUR / "documents").documents}


def pages(harbour: dict[str, Document], name: str) -> list[Passage]:
    embed = hashed({})
    found = [f"document:product/v4/{name}.html", f"document:product/v5/{name}.md"]
    chunks = [chunk for item in found for chunk in split(harbour[item], embed.count, max_tokens=110, min_tokens=40)]
    return [Passage(chunk=chunk, rank=1, score=1.0, similarity=None, found_by={"bm25": 1}, allowed_by=("everyone",)) for chunk in chunks]


@pytest.mark.parametrize(("page", "old", "new"), INTENDED)
def test_intended_contradictions_of_the_example_are_found(harbour: dict[str, Document], page: str, old: str, new: str) -> None:
    passages = pages(harbour, page)
    found = [
        item
        for one in passages
        for other in passages
        if one.chunk.document_id < other.chunk.document_id
        for item in conflicts([one, other])
    ]
    assert any(
        (item.first.version, item.second.version) == ("5", "4") and (item.first.says, item.second.says) == (new, old) for item in found
    ), [(item.first.says, item.second.says) for item in found]
