"""Write ppi.json, from the authors' own package: ``pip install ppi-python && python tests/scores/reference/make_ppi.py``."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
from ppi_py import ppi_mean_ci, ppi_mean_pointestimate, ppi_mean_pval


def main() -> None:
    """Write point estimate, interval and p-value for judges of several qualities."""
    generator = np.random.default_rng(12)
    cases = []
    for labelled, others, agree, kind in [
        (60, 300, 0.9, "0/1"),
        (50, 50, 0.7, "0/1"),
        (80, 1000, 0.5, "0/1"),
        (60, 200, 0.8, "difference"),
    ]:
        size = labelled + others
        if kind == "0/1":
            people = (generator.random(size) < 0.6).astype(float)
            judge = np.where(generator.random(size) < agree, people, 1 - people)
        else:
            people = generator.choice([-1.0, 0.0, 1.0], size, p=[0.15, 0.6, 0.25])
            judge = np.where(generator.random(size) < agree, people, generator.choice([-1.0, 0.0, 1.0], size))
        told = (people[:labelled], judge[:labelled], judge[labelled:])
        low, high = ppi_mean_ci(*told, alpha=0.05)
        cases.append(
            {
                "people": told[0].tolist(),
                "judge": told[1].tolist(),
                "alone": told[2].tolist(),
                "value": float(np.ravel(ppi_mean_pointestimate(*told))[0]),
                "low": float(np.ravel(low)[0]),
                "high": float(np.ravel(high)[0]),
                "p_value": float(np.ravel(ppi_mean_pval(*told))[0]),
            }
        )
    found = {"made_with": {"ppi-python": version("ppi-python"), "numpy": np.__version__}, "cases": cases}
    Path(__file__).with_name("ppi.json").write_text(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
