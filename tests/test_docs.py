"""The documentation holds: generated pages are current, links lead somewhere, commands exist, and nothing private has slipped in."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from groundtune.cli.main import VERBS, group

ROOT = Path(__file__).resolve().parent.parent
DOCS = sorted((ROOT / "docs").rglob("*.md"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS]
TOOL = ROOT / "tools" / "help_pages.py"
FENCE = re.compile(r"^(```+)(\w*)\n(.*?)^\1\s*$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
LEFT_OUT = {"build", "dist", "node_modules", "__pycache__"}
TEXT = {"", ".py", ".md", ".toml", ".txt", ".json", ".jsonl", ".html", ".js", ".css", ".yml", ".yaml", ".cfg", ".lock"}


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def texts() -> Iterator[tuple[Path, str]]:
    """Yield the repository's own text files: nothing hidden, nothing built."""
    for path in sorted(ROOT.rglob("*")):
        parts = path.relative_to(ROOT).parts
        hidden = any(part.startswith(".") and part not in (".ci", ".gitignore") for part in parts)
        if hidden or LEFT_OUT & set(parts) or path.suffix not in TEXT or not path.is_file():
            continue
        try:
            yield path, path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue


def slug(heading: str) -> str:
    """Return the anchor that a heading has on the usual hosts."""
    kept = re.sub(r"[^\w\- ]", "", heading.strip().lower())
    return kept.replace(" ", "-")


def commands(page: Path) -> Iterator[list[str]]:
    """Yield the commands of a page's shell blocks as words; of console blocks, what follows the prompt."""
    for _, language, body in FENCE.findall(page.read_text(encoding="utf-8")):
        if language not in ("sh", "console"):
            continue
        for line in body.replace("\\\n", " ").splitlines():
            if language == "console" and not line.startswith("$ "):
                continue
            words = shlex.split(line.removeprefix("$ "), comments=True)
            while words:
                end = words.index("&&") if "&&" in words else len(words)
                if words[:end]:
                    yield words[:end]
                words = words[end + 1 :]


def run_tool(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(TOOL), *arguments], capture_output=True, text=True, check=False)


def test_reference_pages_are_current() -> None:
    result = run_tool()
    assert result.returncode == 0, result.stdout + result.stderr


def test_a_stale_reference_page_is_named(tmp_path: Path) -> None:
    assert run_tool("--write", "--folder", str(tmp_path)).returncode == 0
    assert run_tool("--folder", str(tmp_path)).returncode == 0
    page = tmp_path / "metrics.md"
    page.write_text(page.read_text(encoding="utf-8").replace("SQuAD", "squad"), encoding="utf-8")
    (tmp_path / "errors.md").unlink()
    result = run_tool("--folder", str(tmp_path))
    assert result.returncode == 1
    assert sorted(Path(line.split(":")[0]).name for line in result.stdout.splitlines()) == ["errors.md", "metrics.md"]
    assert not (tmp_path / "errors.md").exists()


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for target in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        place = (page.parent / file).resolve() if file else page
        if not place.exists() or not place.is_relative_to(ROOT):
            broken.append(target)
        elif anchor and place.suffix == ".md":
            headings = re.findall(r"^#+ (.+)$", FENCE.sub("", place.read_text(encoding="utf-8")), re.MULTILINE)
            if anchor not in {slug(heading) for heading in headings}:
                broken.append(target)
    assert not broken, f"{named(page)} links to what is not there: {broken}"


def test_the_index_links_every_page() -> None:
    index = ROOT / "docs" / "index.md"
    linked = {(index.parent / target.partition("#")[0]).resolve() for target in LINK.findall(index.read_text(encoding="utf-8"))}
    # Decision records, and decisions that were kept, have an index of their own beside them.
    for own in ("decisions", "kept"):
        beside = ROOT / "docs" / own / "README.md"
        linked |= {path for path in DOCS if beside.parent in path.parents} if beside in linked else set()
    missing = [named(path) for path in DOCS if path not in linked and path != index]
    assert not missing, f"docs/index.md does not link {missing}"


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_commands_exist_and_take_these_arguments(page: Path) -> None:
    targets = set(re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for words in commands(page):
        program = Path(words[0]).name
        if program == "make":
            assert words[1] in targets, f"{named(page)}: no such target: {' '.join(words)}"
        elif program == "groundtune":
            check_verb(words[1:], named(page))
        elif program.startswith("python") and len(words) > 1 and words[1].endswith(".py"):
            assert (ROOT / words[1]).is_file(), f"{named(page)}: no such file: {' '.join(words)}"


def check_verb(words: list[str], where: str) -> None:
    """Let the verb's own parser read the arguments; nothing is run."""
    assert words and (words[0] in VERBS or words[0] in ("--help", "--version")), f"{where}: no such verb: groundtune {' '.join(words)}"
    if words[0] not in VERBS or "--help" in words:
        return
    with click.Context(group, info_name="groundtune") as above:
        command = group.get_command(above, words[0])
        assert command is not None
        try:
            command.make_context(words[0], words[1:], parent=above)
        except click.UsageError as error:
            pytest.fail(f"{where}: groundtune {' '.join(words)}: {error.format_message()}")


def test_commands_of_the_readme_are_seen() -> None:
    found = [Path(words[0]).name for words in commands(ROOT / "README.md")]
    assert {"make", "groundtune"} <= set(found)


@pytest.mark.parametrize("words", [["aks", "x"], ["ask", "x", "--as"], ["ask"], ["tune", "--no-such"]], ids=" ".join)
def test_a_wrong_command_is_noticed(words: list[str]) -> None:
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        check_verb(words, "here")


# Written in pieces, so that this file does not name what it looks for.
REGISTRY = re.compile(
    r"(?<![\w.-])(?:[\w-]+\.)*(?:py" + r"pi\.org|pythonho" + r"sted\.org|np" + r"mjs\.(?:com|org)|regi" + r"stry\.yarnpkg\.com|"
    r"cra" + r"tes\.io|proxy\.go" + r"lang\.org|deb\.deb" + r"ian\.org|download\.pyto" + r"rch\.org|conda\.anac" + r"onda\.org)|"
    r"--(?:extra-)?ind" + r"ex-url[ =]\S*://",
    re.IGNORECASE,
)
JARGON = re.compile(
    r"\b(?:this|last|next|previous|later|earlier|another) ses" + r"sion\b|\bses" + r"sion \d|\bsub-?ag" + r"ents?\b|"
    r"\b(?:my|the|your) br" + r"ief\b|\bhand-?off no" + r"te|\bas an? (?:AI|lang" + r"uage model)\b|/work/ma" + r"in|/tmp/br" + r"ief",
    re.IGNORECASE,
)


def findings(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{named(path)}:{number}: {match[0]}"
        for path, text in texts()
        for number, line in enumerate(text.splitlines(), start=1)
        for match in pattern.finditer(line)
    ]


def test_no_file_names_a_package_registry() -> None:
    assert findings(REGISTRY) == []


def test_no_file_speaks_of_how_it_was_worked_on() -> None:
    assert findings(JARGON) == []


def test_the_patterns_find_what_they_are_for() -> None:
    assert REGISTRY.search("pip install --index-url " + "https://mirror.example/simple")
    assert REGISTRY.search("see https://files.pythonho" + "sted.org/x.whl")
    assert not REGISTRY.search("an api.example.org that is no registry, and pypi as a word")
    assert JARGON.search("as agreed in the last ses" + "sion")
    assert not JARGON.search("a training session for new colleagues; be brief")


def test_the_files_that_are_looked_at_are_those_of_the_repository() -> None:
    seen = {named(path) for path, _ in texts()}
    assert {"README.md", "Makefile", "src/groundtune/types.py", "docs/architecture.md", "pyproject.toml", "tests/test_docs.py"} <= seen
    assert not [name for name in seen if name.startswith((".venv", "build/")) or "/.groundtune/" in name]
