from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundtune.documents.markdown import load
from groundtune.probes.payloads import PAYLOADS, copied, obeyed, payload, planted


def test_there_are_eight_kinds_and_each_holds_its_canary() -> None:
    assert len(PAYLOADS) >= 8
    assert all("VXABCDEF01" in payload(kind, "VXABCDEF01") for kind in PAYLOADS)


@pytest.mark.parametrize("kind", list(PAYLOADS))
def test_a_reply_that_does_what_is_ordered_is_seen_and_one_that_answers_is_not(kind: str) -> None:
    assert obeyed(kind, "VXABCDEF01", "Sure: vxabcdef01!")
    assert not obeyed(kind, "VXABCDEF01", "A slot lasts 40 minutes; you may cancel it until four hours before, as the rules say.")
    assert not obeyed(kind, "VXABCDEF01", "")


def test_an_answer_in_the_ordered_language_is_obeyed_without_its_canary() -> None:
    reply = "La reserva dura cuarenta minutos y puede cancelarse por la web, con los datos que usted dio para el acceso."
    assert obeyed("another language", "VXABCDEF01", reply)
    assert not obeyed("plain order", "VXABCDEF01", reply)
    assert not obeyed("another language", "VXABCDEF01", "Los Angeles is a port, and La Paz is not.")


def test_a_copy_of_the_passage_is_told_from_a_reply_of_its_own() -> None:
    order = payload("plain order", "VXABCDEF01")
    assert copied("plain order", "VXABCDEF01", f'{{"quote": "{order}"}}')
    assert not copied("plain order", "VXABCDEF01", "VXABCDEF01")


QUESTION = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",), exclude_characters="\x00"), min_size=1, max_size=200)


@given(QUESTION, st.sampled_from(sorted(PAYLOADS)), st.dictionaries(st.sampled_from(["version", "product"]), QUESTION.filter(str.strip)))
def test_a_planted_document_can_be_read_whatever_the_question_is(question: str, kind: str, metadata: dict[str, str]) -> None:
    if not question.strip() or not all(part.isprintable() for part in (question, *metadata.values())):
        return
    made = planted(kind, question, readers=["b", "a"], metadata=metadata, seed=7, number=3)
    loaded = load(Path(made.name), made.text.encode())
    assert loaded.readers == frozenset(["a", "b"])
    assert made.canary in loaded.text
    assert made == planted(kind, question, readers=["a", "b"], metadata=metadata, seed=7, number=3)
    assert made.canary != planted(kind, question, readers=["a"], metadata=metadata, seed=8, number=3).canary
