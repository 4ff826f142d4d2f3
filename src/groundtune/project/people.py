"""groundtune.toml → who there is: the access file, the database of [access.sql] and the rules; and whose tokens are taken."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from groundtune.access import directory, sql
from groundtune.access.directory import Directory
from groundtune.errors import ConfigError
from groundtune.project.origins import resolved
from groundtune.tables import Settings

if TYPE_CHECKING:
    from groundtune.access.jwks import Published
    from groundtune.access.tokens import Issuer, Key


def directory_of(folder: Path, settings: Settings) -> Directory:
    """Read who there is, and the rules. Raises ``ConfigError`` or ``Problems``; a database that cannot be asked is no empty one."""
    table = settings.access
    members = None
    if table.sql is not None:
        url = table.sql.url or resolved("[access.sql]", "url_env", f"${table.sql.url_env}")
        members = sql.members(url, table.sql.query, folder, timeout=table.sql.timeout_seconds, most=table.sql.most_rows)
    return directory.read(
        folder / table.file,
        members=members,
        tables=[rule.model_dump(exclude_defaults=True) for rule in settings.documents.rules],
        tokens=table.tokens is not None,
        open_groups=table.open_groups,
    )


def published_of(settings: Settings) -> Published | None:
    """Return what fetches the keys of ``jwks_url`` and keeps them; nothing is fetched yet. ``None`` for keys that lie here."""
    from groundtune.access.jwks import Published

    table = settings.access.tokens
    if table is None or table.jwks_url is None:
        return None
    return Published(table.jwks_url, fresh=table.jwks_seconds, allow_private=table.allow_private)


def issuer_of(folder: Path, settings: Settings, published: Published | None) -> Issuer:
    """Return whose tokens this project takes; ``published`` has the keys of ``jwks_url``.

    Raises ``ConfigError`` where it takes none, or its keys cannot be read.
    """
    from groundtune.access.tokens import Issuer, keys_of_file, keys_of_secret

    table = settings.access.tokens
    if table is None:
        raise ConfigError("this project takes no tokens: there is no [access.tokens]", "name who asks: groundtune ask … --as NAME")
    keys: Mapping[str, Key] | Published
    if published is not None:
        keys = published
    elif table.jwks_file is not None:
        keys = keys_of_file(folder / table.jwks_file)
    else:
        secret = os.environ.get(table.secret_env or "", "")
        if not secret:
            raise ConfigError(f"access.tokens.secret_env names {table.secret_env}, which is not set", f"type: export {table.secret_env}=…")
        keys = keys_of_secret(secret.encode())
    return Issuer(
        issuer=table.issuer,
        audience=table.audience,
        keys=keys,
        subject=table.subject,
        groups=table.groups,
        leeway=table.leeway_seconds,
    )
