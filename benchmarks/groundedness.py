"""How well the ensemble tells replies that their passage bears out from others, on BEGIN's Wizard of Wikipedia replies.

    python benchmarks/groundedness.py FOLDER [--likelihood] [--sample N] [--cache FILE] [--write]

FOLDER holds begin_dev_wow.tsv and begin_test_wow.tsv (https://github.com/google/BEGIN-dataset, CC BY 4.0; Dziri, Rashkin, Linzen and
Reitter 2022, Evaluating Attribution in Dialogue Systems: The BEGIN Benchmark). "Fully attributable" is class 1; "Generic" replies, which
claim nothing, and "Not fully attributable" ones are class 0. Weights and the penalty are fitted on dev alone, the penalty by
cross-validation with whole passages left out; test is looked at once. Intervals are bootstraps over passages, for several models answered
each. ``--write`` puts the weights where the package reads them.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from groundtune.files import fingerprint
from groundtune.scores import lexical, support
from groundtune.scores.detection import auroc, balanced_accuracy, interval
from groundtune.scores.logistic import Weights, fit
from groundtune.scores.support import Claim, names_of

Floats = npt.NDArray[np.float64]
RIDGES = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
FOLDS = 10
AT_ONCE = 100  # replies, after which the cache is written
KINDS = ("words", "words+meaning", "words+meaning+likelihood")
WEIGHTS = Path(support.__file__).with_name(support.FILE)


@dataclass(frozen=True)
class Row:
    """One reply: what it claims, on which passage, by which model, and how people judged it."""

    claim: Claim
    model: str
    label: str


def read(path: Path) -> list[Row]:
    """Read a file of BEGIN. Labels end in a carriage return, which is not part of them."""
    with path.open(encoding="utf-8", newline="\n") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [
        Row(
            Claim(text=row["response"].strip(), passages=(row["knowledge"].strip(),), question=row["message"].strip()),
            row["model_name"],
            (row.get("begin_label") or row.get("begin_label\r") or "").strip(),
        )
        for row in rows
    ]


def labels_of(rows: Sequence[Row]) -> Floats:
    """Return 1 for what is fully attributable, else 0. Refuses a label that is none of the three."""
    odd = {row.label for row in rows} - {"Fully attributable", "Not fully attributable", "Generic"}
    if odd:
        raise SystemExit(f"unknown labels: {sorted(odd)}")
    return np.array([float(row.label == "Fully attributable") for row in rows])


def passages_of(rows: Sequence[Row]) -> list[str]:
    """Return what the rows are resampled by."""
    return [row.claim.passages[0] for row in rows]


def numbers_of(rows: Sequence[Row], parts: Sequence[str], kept: Path | None) -> dict[str, Floats]:
    """Return each part's columns, (rows, columns). What a cache holds of a model's numbers is not worked out again."""
    claims = [row.claim for row in rows]
    held: dict[str, list[float]] = json.loads(kept.read_text()) if kept and kept.is_file() else {}
    found = {}
    for part in parts:
        names = [f"{part} {fingerprint(asdict(claim), names_of(part))}" for claim in claims]
        new = [place for place, name in enumerate(names) if part == "words" or name not in held]
        began = time.perf_counter()
        for start in range(0, len(new), AT_ONCE):
            chosen = new[start : start + AT_ONCE]
            for place, values in zip(chosen, columns(part, [claims[place] for place in chosen]), strict=True):
                held[names[place]] = values
            if kept and part != "words":
                kept.write_text(json.dumps({name: row for name, row in held.items() if not name.startswith("words")}))
        print(f"{part}: {len(new)} replies in {time.perf_counter() - began:.1f} s", flush=True)
        found[part] = np.array([held[name] for name in names], dtype=np.float64)
    return found


@cache
def model_of(part: str) -> Any:
    """Return the embedder or the language model, opened once."""
    if part == "meaning":
        from groundtune.models.minilm import MiniLM

        return MiniLM().documents
    from groundtune.models.local.chat import LocalChat
    from groundtune.models.local.likelihood import likelihoods

    return partial(likelihoods, LocalChat({"model": "smollm2-135m-instruct"}))


def columns(part: str, claims: list[Claim]) -> list[list[float]]:
    """Return one part's numbers of every claim."""
    if part == "words":
        return [list(lexical.features(claim.text, claim.passages, claim.question)) for claim in claims]
    return (support.meaning if part == "meaning" else support.likelihood)(claims, model_of(part))


def folds_of(passages: Sequence[str], count: int = FOLDS) -> npt.NDArray[np.int64]:
    """Return the fold of each row; a passage is in one fold."""
    names = sorted(set(passages), key=lambda text: fingerprint(text))
    place = {name: number % count for number, name in enumerate(names)}
    return np.array([place[name] for name in passages])


def fitted(rows: Floats, labels: Floats, passages: Sequence[str], names: Sequence[str]) -> tuple[Weights, float, Floats]:
    """Return weights by the penalty with the best AUROC out of fold, that penalty, and the values out of fold."""
    folds = folds_of(passages)
    best: tuple[float, float, Floats] | None = None
    for ridge in RIDGES:
        told = np.zeros(len(labels))
        for fold in range(FOLDS):
            out = folds == fold
            told[out] = fit(rows[~out], labels[~out] > 0, names, ridge=ridge).predict(rows[out])
        reached = auroc(told, labels)
        if best is None or reached > best[0]:
            best = (reached, ridge, told)
    assert best is not None
    return fit(rows, labels > 0, names, ridge=best[1]), best[1], best[2]


def shown(name: str, values: Floats, labels: Floats, passages: Sequence[str], *, threshold: float | None = 0.5) -> str:
    """Return a line of a table: AUROC and balanced accuracy with their intervals."""
    low, high = interval(auroc, values, labels, passages)
    line = f"| {name} | {auroc(values, labels):.3f} ({low:.3f}–{high:.3f}) |"
    if threshold is None:
        return line + " |"
    measure = partial(balanced_accuracy, threshold=threshold)
    low, high = interval(measure, values, labels, passages)
    return f"{line} {measure(values, labels):.3f} ({low:.3f}–{high:.3f}) |"


def main() -> None:
    """Fit on dev, print what it reaches on test."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--likelihood", action="store_true", help="the language model's likelihood too (slow)")
    parser.add_argument("--cache", type=Path, help="a file that keeps the numbers of models between runs")
    parser.add_argument("--sample", type=int, help="only about that many replies of test, whole passages drawn by their hash")
    parser.add_argument("--write", action="store_true", help="put the weights into the package")
    options = parser.parse_args()
    dev, test = (read(options.folder / f"begin_{name}_wow.tsv") for name in ("dev", "test"))
    if options.sample:
        # Whole passages, in the order of their hashes: a sample that no look at the labels has shaped.
        order = sorted(set(passages_of(test)), key=lambda text: fingerprint(text, "sample"))
        sizes = Counter(passages_of(test))
        taken: set[str] = set()
        for name in order:
            if sum(sizes[item] for item in taken) >= options.sample:
                break
            taken.add(name)
        test = [row for row in test if row.claim.passages[0] in taken]
    parts = ["words", "meaning", *(["likelihood"] if options.likelihood else [])]
    kinds = [kind for kind in KINDS if set(kind.split("+")) <= set(parts)]
    wanted, truth = labels_of(dev), labels_of(test)
    known, unseen = numbers_of(dev, parts, options.cache), numbers_of(test, parts, options.cache)
    groups, shared = passages_of(test), set(passages_of(dev)) & set(passages_of(test))
    apart = np.array([passage not in shared for passage in groups])
    print(f"dev {len(dev)} replies ({int(wanted.sum())} attributable), test {len(test)} ({int(truth.sum())}), {len(set(groups))} passages")
    print(f"{len(shared)} passages of test are in dev too; {int((~apart).sum())} replies of test are on them\n")
    print("| on test | AUROC | balanced accuracy |\n|---|---|---|")
    single = {"covered": "words", "longest_run": "words", "cosine_best": "meaning", "cosine_whole": "meaning", "likely_gain": "likelihood"}
    for name, part in single.items():
        if part in parts:
            print(shown(f"`{name}` alone", unseen[part][:, names_of(part).index(name)], truth, groups, threshold=None))
    stored = {}
    for kind in kinds:
        rows, others = (np.column_stack([found[part] for part in kind.split("+")]) for found in (known, unseen))
        weights, ridge, out_of_fold = fitted(rows, wanted, passages_of(dev), names_of(kind))
        values = weights.predict(others)
        print(shown(f"**{kind}**", values, truth, groups))
        stored[kind] = {**asdict(weights), "ridge": ridge, "dev_auroc_out_of_fold": round(auroc(out_of_fold, wanted), 4)}
        if kind == kinds[-1] or kind == "words+meaning":
            detail(kind, values, truth, test, apart, groups)
    if options.write:
        kept = json.loads(WEIGHTS.read_text())["kinds"] if WEIGHTS.is_file() else {}
        made = "benchmarks/groundedness.py on BEGIN's Wizard of Wikipedia dev replies (Dziri et al. 2022, CC BY 4.0)"
        rounded = json.loads(json.dumps({**kept, **stored}), parse_float=lambda text: round(float(text), 6))
        WEIGHTS.write_text(json.dumps({"fitted_by": made, "kinds": rounded}, indent=1) + "\n")
        print(f"\nwritten: {WEIGHTS.name}")


def detail(kind: str, values: Floats, truth: Floats, rows: Sequence[Row], apart: npt.NDArray[np.bool_], groups: Sequence[str]) -> None:
    """Print the same without generic replies, on passages that dev does not have, and by the model that replied."""
    parts = {
        "without generic replies": np.array([row.label != "Generic" for row in rows]),
        "passages not in dev": apart,
        **{f"replies of {name}": np.array([row.model == name for row in rows]) for name in sorted({row.model for row in rows})},
    }
    for name, chosen in parts.items():
        if 0 < truth[chosen].sum() < chosen.sum():
            print(
                shown(
                    f"{kind}, {name} (n = {int(chosen.sum())})",
                    values[chosen],
                    truth[chosen],
                    [g for g, c in zip(groups, chosen, strict=True) if c],
                )
            )


if __name__ == "__main__":
    main()
