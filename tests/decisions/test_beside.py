"""The sections on passages that disagree and on withheld answers: what they count, and that hostile texts stay texts."""

from __future__ import annotations

import json
from dataclasses import replace

from made_estimates import decided, passing

from groundtune.calibration import Calibrated, CurvePoint
from groundtune.decisions import conflicts, record, sections, withheld
from groundtune.decisions.curve import risk_coverage
from groundtune.decisions.markdown import markdown
from groundtune.files import plain
from groundtune.types import Abstention, Answer, Chunk, Citation, Conflict, Passage, Seconds, Statement

NEW = Statement(
    document_id="document:v5/slots.md", chunk_id="chunk:5", text="Two <hours> before.", start=10, end=30, says="2 hours", version="5"
)
OLD = replace(NEW, document_id="document:v4/<b>slots|.md", chunk_id="chunk:4", text="Four hours before.", says="4 hours", version="4")
CONFLICT = Conflict(first=NEW, second=OLD, newer=True, why="alike")
CHUNK = Chunk(
    id="chunk:5", document_id=NEW.document_id, document_hash="0", ordinal=0, text="Two <hours> before.", start=10, end=30,
    heading_path=(), title="Slots", readers=frozenset(["everyone"]), tokens=4,
)  # fmt: skip
PASSAGE = Passage(chunk=CHUNK, rank=1, score=1.0, similarity=None, found_by={}, allowed_by=("everyone",))


def answer(number: int, *, found: tuple[Conflict, ...] = (), cites: Statement | None = None, at: int = 10, **more: object) -> Answer:
    quoted = (
        ()
        if cites is None
        else (Citation(document_id=cites.document_id, chunk_id=cites.chunk_id, quote="x", start=at, end=at + 3, place=""),)
    )
    given = Answer(
        id=f"answer:{number}", question="?", asker="ana", arm="rag", text="x", said="x", reply=None, quoted="", cited=quoted, refused=False,
        fallback=False, passages=(PASSAGE,), model="m", prompt_hash="p", prompt_tokens=1, completion_tokens=1, seconds=Seconds(), cost=0.0,
        failure=None, example_id=f"e{number}", messages=(), conflicts=found,
    )  # fmt: skip
    return replace(given, **more)  # type: ignore[arg-type]


POINT = CurvePoint(threshold=0.6, false_answers=1, false_rate=0.1, false_upper=0.3, answered_answerable=8, coverage=0.5, risk=0.2)
FOUND = Calibrated(
    state="measured", reason="", answerable=10, unanswerable=10, target=0.1, on="value", threshold=0.6, chosen=POINT, checked=POINT,
    curve=(replace(POINT, threshold=0.2, false_answers=10, false_rate=1.0, coverage=1.0), POINT),
)  # fmt: skip


def test_conflicts_are_counted_by_arm_and_by_documents_and_quotes_by_the_sentence_that_they_overlap() -> None:
    neither = replace(CONFLICT, newer=False)
    given = {
        "rag": [
            answer(1, found=(CONFLICT,), cites=NEW),
            answer(2, found=(CONFLICT,), cites=OLD, at=28),
            answer(3, found=(CONFLICT,), cites=OLD, at=30),
            answer(4, found=(neither,), cites=OLD),
            answer(5),
        ],
        "prompt": [answer(1, passages=())],
    }
    found = conflicts.section(given, told=True)
    assert found is not None
    by_arm, by_documents = found.grids
    assert by_arm.rows == (("rag", "4 of 5", "1", "1"),)
    assert by_documents.rows[0] == ("v5/slots.md (version 5)", "v4/<b>slots|.md (version 4)", "the first", "3")
    assert len(by_documents.rows) == 2 and by_documents.rows[1][2:] == ("neither says", "1")
    assert "told the model" in found.lines[1] and "Two" not in json.dumps(plain(found)).replace("Two passages", "")
    assert conflicts.section({"rag": [answer(1)], "prompt": []}, told=False) is None


def test_what_was_withheld_is_counted_beside_what_the_dev_questions_promised() -> None:
    def judged(number: int, state: str) -> Answer:
        return answer(number, abstention=Abstention(state=state, calibration="calibration:1"))  # type: ignore[arg-type]

    given = {
        "rag": [judged(1, "answered"), judged(2, "answered"), judged(3, "below threshold"), answer(4, failure="no", refused=False)],
        "prompt": [answer(1)],
    }
    found = withheld.section({"rag": FOUND}, given)
    assert found is not None
    counted, curve = found.grids
    assert counted.head == ("arm", "answered", "declined", "below threshold", "nothing found", "failed", "n")
    assert counted.rows == (("rag", "2", "0", "1", "0", "1", "4"),)
    assert [row[0].strip() for row in curve.rows] == ["0.200", "* 0.600"]
    assert "1 of 10 questions without an answer are answered" in found.lines[0] and "prompt" in found.lines[-1]
    assert withheld.section({}, given) is None


def test_both_sections_go_through_the_record_the_markdown_and_the_page() -> None:
    made_ = (withheld.section({"rag": FOUND}, {"rag": []}), conflicts.section({"rag": [answer(1, found=(CONFLICT,))]}, told=False))
    given = tuple(item for item in made_ if item is not None)
    decision = replace(decided(passing("rag", 0.5)), sections=given)
    assert record.from_row(json.loads(json.dumps(record.to_row(decision)))).sections == given
    text = markdown(decision)
    assert "## Passages that disagree" in text and "<b>" not in text and "slots\\|.md" in text
    drawing = risk_coverage(FOUND, title="<script>", inline=True)
    assert "<style>" not in drawing and "<script>" not in drawing and "<style>" in risk_coverage(FOUND, title="x")
    shown = [sections.html(item, drawing) for item in given]
    assert all("<svg" in item and "<b>slots" not in item for item in shown)
