"""Write ranking.json: rankings and judgements made here, and what trec_eval's C code (pytrec-eval-terrier 0.5.11) says of them.

pip install pytrec-eval-terrier && python tests/scores/reference/make_ranking.py
"""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytrec_eval

MEASURES = {"ndcg_cut.1,5,10,100", "recall.1,5,10,100", "recip_rank", "map"}


def main() -> None:
    chance = random.Random(11)
    cases = []
    for number in range(12):
        names = [f"d{place}" for place in range(chance.choice([3, 12, 60]))]
        grades = {name: chance.choice([-1, 0, 0, 0, 1, 1, 2, 4]) for name in names if chance.random() < 0.6}
        grades.setdefault("d0", 1)
        ranked = chance.sample(names, chance.randint(1, len(names)))
        run = {name: float(len(ranked) - place) for place, name in enumerate(ranked)}
        values = pytrec_eval.RelevanceEvaluator({"q": grades}, MEASURES).evaluate({"q": run})["q"]
        cases.append({"name": f"case {number}", "ranked": ranked, "grades": grades, "values": values})
    Path(__file__).with_name("ranking.json").write_text(json.dumps(cases, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
