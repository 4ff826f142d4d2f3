from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundtune.access.filter import Predicate, allowed, literal, narrow
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
    assert Predicate(frozenset()).sql() == "false"


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


def test_a_filter_on_what_no_document_holds_finds_nothing() -> None:
    assert narrow(Predicate(frozenset({"hr"})), {"a": "b\0c"}) == "false AND array_has_any(readers, ['hr'])"


def test_a_nul_is_refused() -> None:
    with pytest.raises(ValueError, match="NUL"):
        literal("a\0b")


@given(st.dictionaries(names, names, max_size=3), groups)
def test_the_permission_comes_last_and_is_always_there(filter: dict[str, str], mine: frozenset[str]) -> None:
    predicate = Predicate(mine)
    where = narrow(predicate, filter)
    assert where.endswith(predicate.sql())
    assert where == predicate.sql() or where.endswith(f" AND {predicate.sql()}")
    assert narrow(predicate, None) == narrow(predicate, {}) == predicate.sql()


def test_in_the_engine_a_filter_only_narrows_and_no_name_breaks_out(tmp_path: Path) -> None:
    """Every group and every filter value against every row, through the SQL that the default index runs."""
    lancedb = pytest.importorskip("lancedb")
    import pyarrow as pa

    texts = pa.list_(pa.field("item", pa.string()))
    rows = [{"id": number, "readers": [name], "metadata": [f"key={name}"]} for number, name in enumerate(NASTY)]
    rows.append({"id": len(NASTY), "readers": [], "metadata": ["key=it's"]})
    schema = pa.schema([pa.field("id", pa.int32()), pa.field("readers", texts), pa.field("metadata", texts)])
    table = lancedb.connect(str(tmp_path)).create_table("t", pa.Table.from_pylist(rows, schema=schema))

    def ids(where: str) -> list[int]:
        return sorted(row["id"] for row in table.search().where(where).limit(1000).to_list())

    assert ids(narrow(Predicate(frozenset()))) == []
    assert ids(narrow(Predicate(frozenset(NASTY)))) == list(range(len(NASTY)))
    for number, name in enumerate(NASTY):
        assert ids(narrow(Predicate(frozenset({name})))) == [number], name
        assert ids(narrow(Predicate(frozenset(NASTY)), {"key": name})) == [number], name
        other = NASTY[number - 1]
        assert ids(narrow(Predicate(frozenset({other})), {"key": name})) == [], name
