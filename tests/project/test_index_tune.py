"""``groundtune index tune``: only dev and train questions, a held-out check, and no recommendation without evidence for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import groundtune
from groundtune.errors import StateError
from groundtune.models.hashed import HashedEmbed

SECTIONS = 36


def make(folder: Path, *, limit: int = 1, unit: str = "packed", most: int = 24) -> Path:
    """Write a project whose questions each need two neighbouring sentences of one section."""
    (folder / "documents").mkdir(parents=True)
    (folder / "examples").mkdir()
    (folder / "access.toml").write_text('[principals]\nana = ["everyone"]\n')
    (folder / "groundtune.toml").write_text(
        '[project]\nname = "p"\nowner = "o"\n[answers]\ninstructions = "Reply."\n[embed]\nuse = "hashed"\n'
        "[examples]\nnear = 1.0\n"
        f'[chunks]\nmax_tokens = {most}\nmin_tokens = 4\nunit = "{unit}"\n[passages]\nlimit = {limit}\n'
        '[rubric]\nresamples = 1000\n[[arms]]\nname = "prompt"\n'
    )
    rows: list[dict[str, Any]] = []
    for number in range(SECTIONS):
        name = f"thing{number}"
        first = f"The {name} alpha{number} is checked by crew beta{number} on every gamma{number} morning before the tide."
        second = f"Whoever breaks it pays delta{number} coins at the office of epsilon{number} within one week."
        (folder / "documents" / f"{name}.md").write_text(f"---\ntitle: {name}\nreaders: [everyone]\n---\n# {name}\n\n{first}\n\n{second}\n")
        split = "test" if number % 6 == 0 else "dev" if number % 2 else "train"
        rows.append(
            {
                "id": name,
                "question": f"{'testonly ' if split == 'test' else ''}who checks {name} alpha{number} beta{number}",
                "asker": "ana",
                "kind": "answerable",
                "split": split,
                "split_group": name,
                "evidence": [{"document": f"{name}.md", "quote": first}, {"document": f"{name}.md", "quote": second}],
                "reply": {"answer": first},
            }
        )
    (folder / "examples" / "all.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_a_better_setting_is_found_checked_and_written_as_toml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    query = HashedEmbed.query
    monkeypatch.setattr(HashedEmbed, "query", lambda self, text: asked.append(text) or query(self, text))
    from groundtune.project.index_tune import tune_index

    project = groundtune.open(make(tmp_path / "p"))
    tuned = tune_index(project, most_tokens=120)
    assert asked and not any("testonly" in text for text in asked), "a test question was read"
    assert tuned.verdict.startswith("a better setting")
    assert tuned.check is not None and tuned.check.low is not None and tuned.check.low > 0
    assert tuned.best.tokens <= 120 and tuned.best.coverage > tuned.present.coverage
    assert tuned.questions == {"searched": 18, "held out": 12}
    assert any(line.startswith("[") for line in tuned.lines)
    path = tmp_path / "p" / "groundtune.toml"
    assert not list((tmp_path / "p" / ".groundtune").glob("index-tune-*")), "the indexes of the search were left"
    assert not (tmp_path / "p" / ".groundtune" / "index" / "live.json").exists(), "the live index was touched"
    import tomllib

    wanted = tomllib.loads("\n".join(tuned.lines))
    written = tomllib.loads(path.read_text())
    for table, values in wanted.items():
        written.setdefault(table, {}).update(values)
    from groundtune.tables import Settings

    Settings.model_validate(written)


def test_each_way_to_fuse_and_each_reranker_is_tried_and_timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reranker that knows the answers is found to be better; one that is asked for each text with each question once."""
    import tomllib

    from groundtune import plugins
    from groundtune.project import index_bench
    from groundtune.project.index_tune import WAYS, tune_index

    asked: list[tuple[str, str]] = []

    class Knowing:
        name = fingerprint = "knowing"

        def scores(self, question: str, texts: list[str]) -> list[float]:
            asked.extend((question, text) for text in texts)
            return [float("delta" in text and f"{question.split()[2]} " in text) for text in texts]

    load = plugins.load
    monkeypatch.setattr(index_bench.plugins, "load", lambda kind, name: (lambda _: Knowing()) if kind == "rerank" else load(kind, name))
    monkeypatch.setattr(index_bench.Bench, "timed", lambda self, setting, rows: (1.0, 0.002 if setting.reranker else 0.0))
    folder = make(tmp_path / "p", limit=2)
    config = folder / "groundtune.toml"
    config.write_text(config.read_text() + "[costs]\nprompt_million = 50.0\n")
    tuned = tune_index(groundtune.open(folder), rerankers=["knowing:large"])
    ways = {row.setting.way for row in tuned.tried}
    assert len(ways) == len(WAYS) and {"rrf 10", "rrf 60", "convex", "convex 0.5 by meaning", "convex-minmax"} <= ways
    assert {row.setting.reranker for row in tuned.tried} == {"", "knowing:large"}
    assert len(asked) == len(set(asked)), "a text was scored twice for one question"
    for row in tuned.tried:
        assert row.money == pytest.approx(row.tokens * 0.05 + (2.0 if row.setting.reranker else 0.0)) and row.milliseconds == 1.0
    changed = {"fusion": "rrf", "rrf_k": 60, "reranker": "knowing:large", "dense_weight": None}
    lines = index_bench.replace(tuned.present.setting, **changed).lines(index_bench.replace(tuned.present.setting, dense_weight=0.7))
    wanted = {"passages": {"fusion": "rrf", "rrf_k": 60, "dense_weight": 0.5}, "rerank": {"use": "knowing", "model": "large"}}
    assert tomllib.loads("\n".join(lines)) == wanted
    back = tuned.present.setting.lines(index_bench.replace(tuned.present.setting, reranker="minilm"))
    assert back == ["[rerank]", '# take out: use = "minilm"']


def test_the_newest_version_rule_and_filters_of_several_values_hold_in_the_search_too(tmp_path: Path) -> None:
    from groundtune.project.index_tune import tune_index

    folder = make(tmp_path / "p", limit=2)
    config = folder / "groundtune.toml"
    config.write_text(config.read_text() + '[documents]\nnewest_wins = "version"\n')
    for path in sorted((folder / "documents").glob("*.md")):
        text = path.read_text()
        path.write_text(text.replace("readers:", 'version: "1"\nreaders:', 1))
        (path.with_name(f"new-{path.name}")).write_text(text.replace("readers:", 'version: "2"\nreaders:', 1))
    tuned = tune_index(groundtune.open(folder))
    assert tuned.present.coverage == 0, "evidence in a superseded version is not shown to anybody who does not ask for it"


def test_nothing_is_recommended_where_nothing_is_better(tmp_path: Path) -> None:
    from groundtune.project.index_tune import tune_index

    project = groundtune.open(make(tmp_path / "p", unit="child", most=24))
    tuned = tune_index(project)
    assert tuned.verdict.startswith("no setting is distinguishably better")
    assert tuned.lines == ()
    assert tuned.best.tokens <= tuned.token_limit


def test_the_same_search_says_the_same(tmp_path: Path) -> None:
    from groundtune.cli.main import group

    folder = make(tmp_path / "p")
    results = []
    for _ in range(2):
        done = CliRunner().invoke(group, ["index", "tune", "-p", str(folder), "--json"], standalone_mode=False)
        assert done.exception is None
        result = json.loads(done.stdout)
        for row in (result["present"], result["best"], *result["tried"]):
            assert row.pop("milliseconds") > 0
        results.append(result)
    assert results[0] == results[1]
    shown = CliRunner().invoke(group, ["index", "tune", "-p", str(folder), "--embedder", "hashed:hashed-32"], standalone_mode=False)
    assert "hashed:hashed-32" in shown.stdout and "that the search never saw" in shown.stdout


def test_questions_without_evidence_or_of_one_source_are_refused(tmp_path: Path) -> None:
    from groundtune.project.index_tune import tune_index

    folder = make(tmp_path / "p")
    path = folder / "examples" / "all.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    kept = [row for row in rows if row["split"] == "test"]
    path.write_text("".join(json.dumps(row) + "\n" for row in kept))
    with pytest.raises(StateError, match="no dev or train question names its evidence"):
        tune_index(groundtune.open(folder))
    path.write_text("".join(json.dumps(row) + "\n" for row in [*kept, next(row for row in rows if row["split"] == "dev")]))
    with pytest.raises(StateError, match="of one source"):
        tune_index(groundtune.open(folder))


def test_a_project_reads_around_the_sentence_that_was_found(tmp_path: Path) -> None:
    project = groundtune.open(make(tmp_path / "p", unit="sentence", most=40))
    version = project.ingest().version
    assert version is not None
    assert version.chunks == 2 * SECTIONS and version.splitter["unit"] == "sentence"
    assert project.verify_index() == []
    [found] = project.retriever()("delta7 coins office epsilon7", project.principal("ana"), {})
    text = project.content.documents["document:thing7.md"].text
    assert found.chunk.text == text[found.chunk.start : found.chunk.end] == text.strip()


def test_the_cost_of_written_lines_is_shown_before_they_are_written(tmp_path: Path) -> None:
    folder = make(tmp_path / "p")
    config = folder / "groundtune.toml"
    plain = [line.step for line in groundtune.open(folder).check().lines]
    config.write_text(config.read_text().replace("[chunks]", '[chunks]\ncontext = "model"') + "[costs]\nprompt_million = 10.0\n")
    lines = {line.step: line for line in groundtune.open(folder).check().lines}
    assert "write context lines" not in plain
    assert lines["write context lines"].read > 100 * SECTIONS and lines["write context lines"].money > 0
