"""How long scoring and statistics take without generation, how much memory, and how big the page is: 6 arms × 1,000 questions.

    python benchmarks/scoring.py [QUESTIONS] [--page FILE]

Answers are made up and seeded: 60 words, three passages of 120 words, a citation, a reply object. Every default metric is scored, then
those on demand that need no model, then every mean, every paired difference and the decision; 10,000 resamples, questions clustered by
document. The page holds every answer with its prompt, as a real one does; ``--page`` keeps it.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import time
from datetime import date
from pathlib import Path

from groundtune.decisions.decide import decide
from groundtune.decisions.drill import Evidence as Behind
from groundtune.decisions.page import page
from groundtune.decisions.rubric import Gate, Rubric
from groundtune.decisions.weigh import weigh
from groundtune.scores.corpus import tallies_of
from groundtune.scores.metrics import METRICS, corpus_metrics, metrics_for
from groundtune.scores.more import MORE
from groundtune.scores.scorer import Context, score_all
from groundtune.types import Answer, Arm, Chunk, Citation, Document, Evidence, Example, Passage, Seconds
from made_text import Writer

ARMS = (
    Arm(name="prompt"),
    Arm(name="few-shot", shots=2),
    Arm(name="rag", retrieves=True),
    Arm(name="rag-json", retrieves=True, constrained=True),
    Arm(name="tuned", adapter="plain"),
    Arm(name="hybrid", retrieves=True, adapter="passages"),
)
QUALITY = {"prompt": 0.2, "few-shot": 0.3, "rag": 0.55, "rag-json": 0.56, "tuned": 0.35, "hybrid": 0.6}
SCHEMA = {
    "type": "object",
    "properties": {"answer": {"type": "string"}, "quote": {"type": "string"}, "label": {"type": "string", "enum": ["a", "b", "c", "d"]}},
    "required": ["answer", "quote", "label"],
}


def made_documents(count: int) -> dict[str, Document]:
    """Return documents of about 600 words; every tenth is hidden from those who ask."""
    writer = Writer(3)
    found = {}
    for number in range(count):
        text = "\n\n".join(writer.paragraph(9) for _ in range(5))
        readers = frozenset(["board"] if number % 10 == 0 else ["everyone"])
        name = f"document:page-{number}.md"
        found[name] = Document(
            id=name, source=f"page-{number}.md", title=writer.phrase(4), text=text, content_hash=f"{number:x}", readers=readers
        )
    return found


def made_examples(documents: dict[str, Document], count: int) -> list[Example]:
    """Return questions on open documents, three to a document; every fifth has to be refused."""
    chance, names = random.Random(5), [name for name, item in documents.items() if "everyone" in item.readers]
    found = []
    for number in range(count):
        document = documents[names[number // 3 % len(names)]]
        start = chance.randrange(0, max(1, len(document.text) - 120))
        quote = document.text[start : start + 100]
        answerable = number % 5 != 0
        found.append(
            Example(
                id=f"q{number:05d}",
                question=f"What of {quote[:40]}?",
                asker="ana",
                reply={
                    "answer": quote if answerable else "I don't know.",
                    "quote": quote if answerable else "",
                    "label": "abcd"[number % 4],
                },
                evidence=(Evidence(document_id=document.id, quote=quote, start=start, end=start + 100),) if answerable else (),
                answerable=answerable,
                split="test",
                split_group=document.id,
                kind="answerable" if answerable else "refuse",
            )
        )
    return found


def made_answers(arm: Arm, examples: list[Example], documents: dict[str, Document]) -> list[Answer]:
    """Return an arm's answers: some right, some of other words, some refused."""
    chance, writer, names = random.Random(arm.name), Writer(len(arm.name)), sorted(documents)
    found = []
    for example in examples:
        good = chance.random() < QUALITY[arm.name]
        refused = good != example.answerable if chance.random() < 0.9 else good
        said = "I don't know." if refused else f"{example.reply['answer'] if good else writer.sentence()} {writer.paragraph(3)}"
        shown = [example.evidence[0].document_id] if example.evidence and good else []
        shown += [name for name in chance.sample(names, 3) if "everyone" in documents[name].readers]
        passages = tuple(_passage(documents[name], rank) for rank, name in enumerate(shown[:3], start=1)) if arm.retrieves else ()
        cited = (Citation(document_id=shown[0], chunk_id="c", quote="q", start=0, end=100),) if passages else ()
        reply = {"answer": said, "quote": example.reply["quote"], "label": example.reply["label"] if good else chance.choice("abcd")}
        found.append(
            Answer(
                id=f"answer:{arm.name}-{example.id}",
                question=example.question,
                asker="ana",
                arm=arm.name,
                text=json.dumps(reply),
                said=said,
                reply=reply,
                quoted=str(reply["quote"]),
                cited=cited,
                refused=refused,
                fallback=False,
                passages=passages,
                model="model:made",
                prompt_hash="p",
                prompt_tokens=600,
                completion_tokens=70,
                messages=asked(example.question, passages),
                seconds=Seconds(total=chance.uniform(0.5, 2.0)),
                cost=0.001,
                example_id=example.id,
            )
        )
    return found


def asked(question: str, passages: tuple[Passage, ...]) -> tuple[dict[str, str], ...]:
    """Return a prompt of the usual size: instructions of 100 words, the passages, the question."""
    shown = "\n\n".join(f"[{item.rank}] {item.chunk.title}\n{item.chunk.text}" for item in passages)
    told = Writer(1).paragraph(7)
    return ({"role": "system", "content": told}, {"role": "user", "content": f"{shown}\n\n{question}"})


def _passage(document: Document, rank: int) -> Passage:
    chunk = Chunk(
        id=f"chunk:{document.source}#0",
        document_id=document.id,
        document_hash=document.content_hash,
        ordinal=0,
        text=document.text[:800],
        start=0,
        end=800,
        heading_path=(),
        title=document.title,
        readers=document.readers,
        tokens=160,
    )
    return Passage(chunk=chunk, rank=rank, score=1.0, similarity=0.5, found_by={"words": rank}, allowed_by=("everyone",))


def main(questions: int = 1_000, kept: Path | None = None) -> None:
    """Measure each step and print a table."""
    documents = made_documents(400)
    examples = made_examples(documents, questions)
    answers = {arm.name: made_answers(arm, examples, documents) for arm in ARMS}
    context = Context(documents=documents, reply_schema=SCHEMA, permits=lambda asker, item: "everyone" in item.readers)
    clusters = {example.id: example.split_group for example in examples}
    rubric = Rubric(gates=(Gate(metric="refusal_right", min=0.5),), prefer=tuple(arm.name for arm in ARMS))
    whole = corpus_metrics(["refusal_f1", "macro_f1:label", "bleu"])
    single = [name for name in MORE if name not in corpus_metrics(list(MORE))]

    took: dict[str, tuple[float, float]] = {}
    began = time.perf_counter(), time.process_time()

    def done(step: str) -> None:
        nonlocal began
        now = time.perf_counter(), time.process_time()
        took[step] = now[0] - began[0], now[1] - began[1]
        began = now

    scores = [score for rows in answers.values() for score in score_all(rows, examples, context)]
    done(f"score, {len(METRICS) + 1} default metrics")
    extra = {name: metric for name, metric in metrics_for(context, single).items() if name in single}
    more = [score for rows in answers.values() for score in score_all(rows, examples, context, extra)]
    done(f"score, {len(extra)} metrics on demand")
    tallies = [tally for rows in answers.values() for tally in tallies_of(rows, examples, context, whole)]
    done("count, refusal F1, macro-F1 and BLEU")
    estimates = weigh([*scores, *more], rubric, ARMS, clusters, tallies=tallies)
    done(f"statistics, {len(estimates)} estimates")
    decision = decide(estimates, rubric, ARMS, owner="a benchmark", made_on=date(2026, 1, 1), revisit_on=date(2026, 4, 1), inputs={})
    done("decide")
    html = page(
        decision,
        Behind(
            project="a benchmark",
            currency="EUR",
            arms=ARMS,
            examples=examples,
            answers=answers,
            scores=[*scores, *more],
            not_run={},
            documents=documents,
            gates={gate.metric: str(gate) for gate in rubric.all_gates},
            smallest_gain=rubric.smallest_gain,
            looks=1,
            asked="test",
            relocked=0,
            run_id="run:benchmark",
        ),
    )
    size = len(html.encode())
    done(f"page, {size / 1e6:.2f} MB")
    if kept:
        kept.write_text(html, encoding="utf-8")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(
        f"{len(ARMS)} arms × {questions:,} questions, {len(scores) + len(more):,} scores; verdict: {decision.verdict} {decision.choice}\n"
    )
    print("| step | seconds | of a processor |\n|---|---|---|")
    for step, (seconds, busy) in took.items():
        print(f"| {step} | {seconds:.1f} | {busy:.1f} |")
    print(
        f"| all | {sum(row[0] for row in took.values()):.1f} | {sum(row[1] for row in took.values()):.1f} |\n\npeak memory {memory:.2f} GB"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("questions", nargs="?", type=int, default=1_000)
    parser.add_argument("--page", type=Path)
    given = parser.parse_args()
    main(given.questions, given.page)
