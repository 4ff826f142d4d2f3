import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundtune.probes.facts import NUMBERS, Fact, distinctive, facts_in, places, rare_names, said


@pytest.mark.parametrize(
    ("quote", "reply", "kind", "old"),
    [
        ("We report a breach within 36 hours of becoming aware.", "Within 36 hours of our becoming aware.", "quantity", "36 hours"),
        ("We pass it on within three working days.", "You have three working days.", "quantity", "three working days"),
        ("The page goes up within 20 minutes.", "By 09:32, twenty minutes after declaring.", "quantity", "20 minutes"),
        ("The fee is EUR 6,840 a month.", "You should see EUR 6840 each month.", "amount", "EUR 6,840"),
        ("Between midnight and six the rate is 200 %.", "It pays 200 %.", "share", "200 %"),
        ("It is switched off on 15 December 2026.", "Convert before December 15.", "date", "15 December 2026"),
        ("A desk is released at 10:30.", "At 10.30 it is anybody's.", "time", "10:30"),
        ("Desks open at 16:00.", "They open at 4 pm.", "time", "16:00"),
        ("Use purchase order 4500-22761 always.", "It is 4500-22761.", "code", "4500-22761"),
        ("The common day is Tuesday.", "Tuesday it is.", "weekday", "Tuesday"),
        ("Backups lie with Sikkerkyst abroad.", "They are with Sikkerkyst.", "name", "Sikkerkyst"),
    ],
)
def test_a_fact_is_what_quote_and_wanted_reply_both_state(quote: str, reply: str, kind: str, old: str) -> None:
    [fact] = facts_in(quote, reply, "And what is it?", seed=7, names=["Sikkerkyst"])
    assert (fact.kind, fact.old) == (kind, old)
    assert said(reply, fact.kind, fact.old) and not said(reply, fact.kind, fact.new)
    assert facts_in(quote, reply, "And what is it?", seed=7, names=["Sikkerkyst"]) == [fact]


def test_a_fact_that_the_question_gives_away_or_the_reply_does_not_state_is_none() -> None:
    quote = "We report a breach within 36 hours of becoming aware."
    assert facts_in(quote, "Within 36 hours.", "Is it 36 hours?", seed=7) == []
    assert facts_in(quote, "As soon as we can.", "How soon?", seed=7) == []
    assert facts_in("", "", "", seed=7) == []


@pytest.mark.parametrize(
    ("text", "kind", "written", "is_said"),
    [
        ("It takes 14 days.", "quantity", "14 days", True),
        ("It takes fourteen whole days.", "quantity", "14 days", True),
        ("It takes 140 days.", "quantity", "14 days", False),
        ("It takes 14 hours, and days go by later than that", "quantity", "14 weeks", False),
        ("see [14] for the rest", "quantity", "14 days", False),
        ("EUR 16,840", "amount", "EUR 6,840", False),
        ("6.840 euros", "amount", "EUR 6.84", True),
        ("on 15 January", "date", "15 December 2026", False),
        ("on 2026-12-15", "date", "15 December 2026", True),
        ("at 110:30", "time", "10:30", False),
        ("4500-227612", "code", "4500-22761", False),
    ],
)
def test_a_value_is_said_in_any_spelling_but_not_by_part_of_another(text: str, kind: str, written: str, is_said: bool) -> None:
    assert said(text, kind, written) is is_said  # type: ignore[arg-type]


def test_the_same_fact_is_changed_elsewhere_and_another_with_the_same_value_is_not() -> None:
    fact = Fact(kind="quantity", old="14 days", new="21 days")
    quote = "You have 14 days from the announcement to object to a new supplier."
    same = "Objections to a new supplier: 14 days from the announcement."
    assert [same[start:end] for start, end in places(same, fact, quote)] == ["14 days"]
    assert places("A parcel is kept at the desk for 14 days and then goes back.", fact, quote) == []
    assert places("You have 114 days from the announcement to object to a new supplier.", fact, quote) == []
    unlike = "The yard board costs EUR 6,840."
    price = Fact(kind="amount", old="EUR 6,840", new="EUR 7,740")
    assert distinctive(price) and places(unlike, price, "The subscription is EUR 6,840 a month.")


def test_names_are_capitals_of_few_texts_that_no_text_has_in_small_letters() -> None:
    texts = ["The Sikkerkyst vault. Harbour is open.", "Harbour and Growth grow.", "Harbour in May", "growth of the Harbour", "Harbour"]
    assert rare_names(texts) == {"Sikkerkyst"}


NUMBER = st.integers(min_value=2, max_value=99_999)
WORDED = {value: word for word, value in NUMBERS.items()}


@given(NUMBER, st.sampled_from(["days", "gates", "working days"]), st.booleans(), st.integers(0, 50))
def test_a_changed_quantity_is_another_one_of_the_same_form(value: int, unit: str, in_words: bool, seed: int) -> None:
    number = WORDED[value] if in_words and value in WORDED else f"{value:,}" if seed % 2 else str(value)
    quote = f"It ends after {number} {unit}."
    for fact in facts_in(quote, quote, "When?", seed=seed):
        assert fact.old != fact.new and not said(quote, fact.kind, fact.new)
        changed = quote.replace(fact.old, fact.new)
        assert said(changed, fact.kind, fact.new) and not said(changed, fact.kind, fact.old)
        assert fact.new.split(" ")[1:] == fact.old.split(" ")[1:] == unit.split(" ")


@settings(max_examples=50)
@given(st.text(max_size=100), st.text(max_size=60), st.integers(0, 9))
def test_any_text_is_read_and_every_found_place_holds_the_value(quote: str, text: str, seed: int) -> None:
    for fact in facts_in(quote, quote, "", seed=seed, names=quote.split()):
        both = text + quote + text
        for start, end in places(both, fact, quote):
            assert both[start:end] == fact.old
        said(text, fact.kind, fact.new)


def test_times_months_and_shares_stay_in_their_range() -> None:
    rng = random.Random(3)
    for _ in range(200):
        hour, day, share = rng.randrange(24), rng.randrange(1, 29), rng.randrange(101)
        quote = f"At {hour:02d}:15 on {day} December 2026 it is {share} % full."
        for fact in facts_in(quote, quote, "", seed=1):
            if fact.kind == "time":
                assert int(fact.new[:2]) < 24
            if fact.kind == "date":
                assert 1 <= int(fact.new.split()[0]) <= 28
            if fact.kind == "share":
                assert 0 <= float(fact.new.split()[0]) <= 100
