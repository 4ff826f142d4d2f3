from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundtune.access.filter import Predicate, allowed, literal
from groundtune.types import Principal

names = st.text(st.characters(blacklist_characters="\0", blacklist_categories=("Cs",)), min_size=1, max_size=8)
groups = st.frozensets(st.sampled_from(["everyone", "support", "hr", "it's", "größe"]), max_size=4)
NASTY = [
    "it's",
    "''",
    "a') OR true --",
    "größe",
    "日本",
    "back\\slash",
    "\\'",
    "new\nline",
    'double"quote',
    "semi;colon",
    "%_",
    "{x}",
    "😀",
]


def test_empty_readers_mean_nobody_and_no_groups_see_nothing() -> None:
    assert not Predicate(frozenset({"everyone"})).permits([])
    assert not Predicate(frozenset()).permits(["everyone"])


def test_reason_names_the_groups_that_let_it_through() -> None:
    ana = allowed(Principal(id="ana", groups=frozenset({"support", "everyone"})))
    assert ana.reason({"support", "hr", "everyone"}) == ("everyone", "support")
    assert ana.reason({"hr"}) == ()


@given(groups, groups)
def test_permits_has_a_reason_and_only_then(mine: frozenset[str], readers: frozenset[str]) -> None:
    predicate = Predicate(mine)
    assert predicate.permits(readers) == bool(predicate.reason(readers)) == bool(mine & readers)


@given(groups, groups, groups)
def test_more_groups_never_show_less_and_fewer_readers_never_show_more(
    mine: frozenset[str], more: frozenset[str], readers: frozenset[str]
) -> None:
    assert Predicate(mine | more).permits(readers) >= Predicate(mine).permits(readers)
    assert Predicate(mine).permits(readers - more) <= Predicate(mine).permits(readers)


@given(names)
def test_a_literal_is_closed_by_its_last_quote_only(text: str) -> None:
    inside = literal(text)[1:-1]
    assert inside.replace("''", "").count("'") == 0
    assert inside.replace("''", "'") == text


def test_a_nul_is_refused() -> None:
    with pytest.raises(ValueError, match="NUL"):
        literal("a\0b")


def test_in_the_engine_a_literal_is_that_text_and_none_breaks_out(tmp_path: Path) -> None:
    """Every name against every row, through the SQL parser of the default engine."""
    lancedb = pytest.importorskip("lancedb")
    import pyarrow as pa

    texts = pa.list_(pa.field("item", pa.string()))
    rows = [{"id": number, "name": name, "readers": [name]} for number, name in enumerate([*NASTY, ""])]
    schema = pa.schema([pa.field("id", pa.int32()), pa.field("name", pa.string()), pa.field("readers", texts)])
    table = lancedb.connect(str(tmp_path)).create_table("t", pa.Table.from_pylist(rows, schema=schema))

    def ids(where: str) -> list[int]:
        return sorted(row["id"] for row in table.search().where(where).limit(1000).to_list())

    for number, name in enumerate(NASTY):
        assert ids(f"name IN ({literal(name)})") == ids(f"array_has_any(readers, [{literal(name)}])") == [number], name
    assert ids(f"name IN ({', '.join(map(literal, NASTY))})") == list(range(len(NASTY)))
