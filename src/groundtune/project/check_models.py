"""The plug-ins and models that groundtune.toml names → what is wrong with them, without opening a model or asking a server.

[embed] use = "minlm"                  unknown embed plug-in 'minlm'
[chat] use = "endpoint", no base_url   chat.base_url is ''; expected http:// or https://, …
[chat] model = "./models/none"         ./models/none: no such model folder
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from groundtune import plugins
from groundtune.errors import GroundtuneError, UnknownName, WeightsError
from groundtune.tables import Settings

REMOTE = ("endpoint", "cohere")  # plug-ins that ask a server, which may bill tokens


def problems(settings: Settings) -> list[GroundtuneError]:
    """Return what would stop the first verb that opens one of them; ``check`` says it before anything is spent."""
    found: list[GroundtuneError] = []
    for kind, key, use, look in _named(settings):
        if use not in plugins.known(kind):
            found.append(UnknownName.of(f"{kind} plug-in", use, plugins.known(kind), f"correct {key}, then type: groundtune check"))
            continue
        try:
            look()
        except GroundtuneError as error:
            found.append(error)
    return found


def from_the_hub(settings: Settings) -> list[str]:
    """Return a warning for each local model that is neither embedded nor a folder here: it may be a misspelt one."""
    named = [("chat", settings.chat.use, settings.chat.model), ("embed", settings.embed.use, settings.embed.model)]
    return [
        f"{table}.model {model!r} is no embedded model and no folder here: it is looked for on the Hugging Face hub when it is first used"
        for table, use, model in named
        if use == "local" and not _here(model)
    ]


def _named(settings: Settings) -> Iterator[tuple[str, str, str, Callable[[], None]]]:
    """Yield kind, key and name of each plug-in, and what to look at if there is such a one."""
    chat, embed, rerank, judge = settings.chat, settings.embed, settings.rerank, settings.judge
    yield "chat", "chat.use", chat.use, lambda: _look("chat", chat.use, chat.model, chat.base_url, chat.key_env)
    yield "embed", "embed.use", embed.use, lambda: _look("embed", embed.use, embed.model, embed.base_url, embed.key_env)
    yield "index", "index.engine", settings.index.engine, lambda: None
    if rerank.use:
        yield "rerank", "rerank.use", rerank.use, lambda: _look("rerank", rerank.use or "", rerank.model, rerank.base_url, rerank.key_env)
    if judge.use in plugins.known("chat"):  # any other one is told with the rest of [judge]
        yield "chat", "judge.use", judge.use, lambda: _look("judge", judge.use or "", judge.model, judge.base_url, judge.key_env)


def _look(table: str, use: str, model: str, base_url: str | None, key_env: str | None) -> None:
    """Raise what is wrong with the settings of one model."""
    if use in REMOTE:
        from groundtune.models.wire import Wire

        Wire({"model": model, "base_url": base_url, "key_env": key_env}, table)
    elif use == "local" and _is_path(model) and not _here(model):
        raise WeightsError(f"{table}.model: {model}: no such model folder", f"correct {table}.model, then type: groundtune check")


def _is_path(model: str) -> bool:
    return model.startswith((".", "/", "~")) or model.endswith(".gguf")


def _here(model: str) -> bool:
    from groundtune.models.weights import TABLE

    place = Path(model).expanduser()
    return model in TABLE or place.is_dir() or (place.suffix == ".gguf" and place.is_file())
