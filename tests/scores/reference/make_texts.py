"""Write more_texts.json, from packages that nobody here wrote: ``python tests/scores/reference/make_texts.py``.

NLTK's METEOR without WordNet: exact words and Porter stems in the algorithm's original form; words as groundtune cuts them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nltk
import rouge_score
import sacrebleu
from make import TEXTS
from nltk.stem.porter import PorterStemmer
from nltk.translate.meteor_score import single_meteor_score
from rouge_score.rouge_scorer import RougeScorer

from groundtune.scores.runs import words

WORDS = Path(__file__).with_name("words.txt")


class Stemmer:
    """Porter's algorithm as published, which his own program applies to words of three letters and more."""

    def __init__(self) -> None:
        self._inner = PorterStemmer(mode=PorterStemmer.ORIGINAL_ALGORITHM)

    def stem(self, word: str) -> str:
        """Return the stem."""
        return self._inner.stem(word) if len(word) > 2 else word


class NoWordNet:
    """Stands for a WordNet that knows no word."""

    def synsets(self, word: str) -> list[Any]:
        """Return nothing."""
        return []


def main() -> None:
    """Write the file."""
    stemmer = Stemmer()
    rouge = RougeScorer(["rouge1", "rouge2"], use_stemmer=False)
    texts = [
        *TEXTS,
        ("Cancelled slots are refunded to drivers quickly", "A driver's cancelled slot gets a quick refund"),
        ("the cat sat on the mat", "on the mat sat the cat"),
        ("cats running", "the cat runs and runs"),
    ]
    pairs = []
    for said, wanted in texts:
        scores = rouge.score(wanted, said)
        pairs.append(
            {
                "said": said,
                "wanted": wanted,
                "meteor": single_meteor_score(words(wanted), words(said), stemmer=stemmer, wordnet=NoWordNet()),
                "rouge_1": scores["rouge1"].fmeasure,
                "rouge_2": scores["rouge2"].fmeasure,
            }
        )
    corpora = []
    for rows in (texts, texts[:1], texts[4:6], [("", "something"), ("a b c d e", "a b c d e f")], texts[5:10]):
        said, wanted = [row[0] for row in rows], [row[1] for row in rows]
        corpora.append(
            {
                "rows": rows,
                "bleu": sacrebleu.corpus_bleu(said, [wanted]).score / 100,
                "ter": sacrebleu.corpus_ter(said, [wanted]).score / 100,
            }
        )
    listed = sorted(set(WORDS.read_text(encoding="utf-8").split()))
    found = {
        "made_with": {"nltk": nltk.__version__, "rouge-score": rouge_score.__name__ + " 0.1.2", "sacrebleu": sacrebleu.__version__},
        "stems": {word: stemmer.stem(word) for word in listed},
        "pairs": pairs,
        "corpora": corpora,
    }
    Path(__file__).with_name("more_texts.json").write_text(
        json.dumps(found, indent=1, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    main()
