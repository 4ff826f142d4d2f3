"""The name of a metric → the metric: the built-in ones, their families (``field:label``), then the plug-ins of installed packages.

    [project.entry-points."groundtune.scorer"]
    politeness = "my_package.scores:POLITENESS"          a Metric, a CorpusMetric or a Family

A built-in name cannot be taken by a package: what a locked rubric means does not change with what is installed.
"""

from __future__ import annotations

from groundtune import plugins
from groundtune.errors import GroundtuneError, UnknownMetric
from groundtune.scores.metrics import FIELD, METRICS, field_metric
from groundtune.scores.more import FAMILIES, MORE
from groundtune.scores.scorer import AnyMetric, CorpusMetric, Family, Metric

KIND = "scorer"
HINT = "mend [rubric] or [scores] in groundtune.toml, then type: groundtune check"
FIELDS = Family(FIELD.removesuffix(":"), "field", field_metric)
BUILT_IN: dict[str, AnyMetric | Family] = {**METRICS, **MORE, FIELDS.name: FIELDS, **{family.name: family for family in FAMILIES}}


def known() -> list[str]:
    """Return every name that can be written, families as ``field:<field>``."""
    names = [f"{name}:<{item.words}>" if isinstance(item, Family) else name for name, item in BUILT_IN.items()]
    return [*names, *(name for name in plugins.known(KIND) if name not in BUILT_IN)]


def find(name: str) -> AnyMetric:
    """Return the metric of that name. Raises ``UnknownMetric`` with the known ones, or for a plug-in that is no metric."""
    base, colon, word = name.partition(":")
    item: object = BUILT_IN.get(base)
    if item is None:
        if base not in plugins.known(KIND):
            raise UnknownMetric.of("metric", name, known(), HINT)
        item = _loaded(base)
    if isinstance(item, Family):
        if not word:
            raise UnknownMetric.of("metric", name, known(), HINT)
        try:
            return item.make(word)
        except ValueError as error:
            raise UnknownMetric(f"unknown metric {name!r}: {error}", HINT) from error
    if colon or not isinstance(item, Metric | CorpusMetric):
        raise UnknownMetric.of("metric", name, known(), HINT)
    return item


def _loaded(name: str) -> object:
    """Import a plug-in, and hold it to its name."""
    try:
        item = plugins.load(KIND, name)
    except GroundtuneError:
        raise
    except Exception as error:  # whatever a package does at import is told by its name
        raise UnknownMetric(f"the scorer plug-in {name!r} cannot be imported: {type(error).__name__}: {error}", HINT) from error
    if not isinstance(item, Metric | CorpusMetric | Family) or item.name != name:
        raise UnknownMetric(
            f"the scorer plug-in {name!r} is no metric of that name but {getattr(item, 'name', type(item).__name__)!r}",
            "mend the package, or leave it out; see docs/reference/metrics.md, then type: groundtune check",
        )
    return item
