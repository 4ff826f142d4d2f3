"""What no linter holds: file sizes, the import budget, and the docs naming every verb, setting, metric and error."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOFT, HARD = 300, 500
HEAVY = ("torch", "transformers", "numpy", "fastapi", "lancedb", "pyarrow", "onnxruntime", "pydantic")


def file_sizes() -> Iterator[str]:
    """Yield files over the hard limit; say which are over the soft one."""
    for path in sorted((ROOT / "src").rglob("*.py")):
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines > HARD:
            yield f"{path.relative_to(ROOT)}: {lines} lines, at most {HARD} are allowed"
        elif lines > SOFT:
            print(f"note: {path.relative_to(ROOT)} has {lines} lines, over the soft limit of {SOFT}")


def import_budget() -> Iterator[str]:
    """Yield heavy modules that ``import groundtune`` or ``groundtune --help`` load."""
    codes = {
        "import groundtune": "import groundtune",
        "groundtune --help": "from groundtune.cli.main import group; group.main(['--help'], standalone_mode=False)",
    }
    for name, code in codes.items():
        script = f"import sys\n{code}\nprint('LOADED', *sorted(m for m in {HEAVY!r} if m in sys.modules))"
        result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        loaded = result.stdout.rsplit("LOADED", 1)[1].split()
        if loaded:
            yield f"{name} loads {', '.join(loaded)}"


def documented() -> Iterator[str]:
    """Yield verbs, settings, metrics and errors that no page of docs/ names."""
    from groundtune import errors
    from groundtune.cli.main import VERBS
    from groundtune.scores.metrics import METRICS
    from groundtune.scores.more import MORE
    from groundtune.tables import Settings, Table

    pages = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").rglob("*.md")))

    def fields(model: type[Table]) -> Iterator[str]:
        for name, field in model.model_fields.items():
            yield field.alias or name

    settings = {key for table in Table.__subclasses__() if table is not Settings for key in fields(table)}
    kinds = {
        "verb": [f"groundtune {verb}" for verb in VERBS],
        "setting": sorted(settings),
        "metric": sorted({**METRICS, **MORE}),
        "error": [name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, errors.GroundtuneError)],
    }
    for kind, names in kinds.items():
        for name in names:
            if not re.search(rf"`{re.escape(name)}[`\s]", pages):
                yield f"docs/ never names the {kind} `{name}`"


def registry_addresses() -> Iterator[str]:
    """Yield tracked text files that name a package registry's address."""
    pattern = re.compile(r"https?://[\w.-]*(pypi\.|pythonhosted|npmjs|debian\.org/debian|download\.pytorch)")
    for name in subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.splitlines():
        path = ROOT / name
        if path.suffix in {".py", ".md", ".toml", ".txt", ".json", ".jsonl", ".html", ""} and path.is_file():
            if pattern.search(path.read_text(encoding="utf-8", errors="replace")):
                yield f"{name}: names a package registry's address"


def main() -> int:
    """Print every finding; return 1 when there is one."""
    findings = [*file_sizes(), *import_budget(), *documented(), *registry_addresses()]
    for finding in findings:
        print(f"error: {finding}")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
