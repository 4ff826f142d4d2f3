"""The ledger's schema as an append-only list of named steps. A step that has been released is never edited."""

from __future__ import annotations

import sqlite3

STEPS: tuple[tuple[str, str], ...] = (
    (
        "m001_runs",
        """
        CREATE TABLE runs (
            id TEXT PRIMARY KEY, verb TEXT NOT NULL, key TEXT NOT NULL, status TEXT NOT NULL,
            started_at TEXT NOT NULL, ended_at TEXT, seed INTEGER NOT NULL,
            inputs TEXT NOT NULL, outputs TEXT NOT NULL, code_version TEXT NOT NULL
        );
        CREATE INDEX runs_by_key ON runs (verb, key, status);
        """,
    ),
    (
        "m002_batches",
        """
        CREATE TABLE batches (
            arm_key TEXT NOT NULL, batch INTEGER NOT NULL, answers TEXT NOT NULL, done_at TEXT NOT NULL,
            PRIMARY KEY (arm_key, batch)
        );
        """,
    ),
    (
        "m003_looks",
        """
        CREATE TABLE looks (lock TEXT NOT NULL, run_id TEXT NOT NULL, arms TEXT NOT NULL, at TEXT NOT NULL, PRIMARY KEY (lock, run_id));
        """,
    ),
    (
        "m004_lineage",
        """
        CREATE TABLE lineage (child TEXT NOT NULL, parent TEXT NOT NULL, run_id TEXT NOT NULL, PRIMARY KEY (child, parent, run_id));
        CREATE INDEX lineage_by_parent ON lineage (parent);
        """,
    ),
    (
        "m005_audit",
        """
        CREATE TABLE audit (
            number INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, at TEXT NOT NULL, verb TEXT NOT NULL, subject TEXT NOT NULL,
            details TEXT NOT NULL, before TEXT NOT NULL, hash TEXT NOT NULL
        );
        """,
    ),
    (
        "m006_lineage_steps",
        """
        CREATE TABLE lineage_steps (child TEXT PRIMARY KEY, base TEXT NOT NULL, depth INTEGER NOT NULL, run_id TEXT NOT NULL);
        CREATE INDEX lineage_steps_by_base ON lineage_steps (base);
        CREATE TABLE lineage_changes (child TEXT NOT NULL, parent TEXT NOT NULL, gone INTEGER NOT NULL, PRIMARY KEY (child, parent));
        CREATE INDEX lineage_changes_by_parent ON lineage_changes (parent);
        """,
    ),
)


def migrate(connection: sqlite3.Connection) -> list[str]:
    """Apply the steps that this ledger has not seen, each in a transaction of its own; return their names."""
    connection.execute("CREATE TABLE IF NOT EXISTS migrations (name TEXT PRIMARY KEY)")
    seen = {row[0] for row in connection.execute("SELECT name FROM migrations")}
    applied = []
    for name, script in STEPS:
        if name in seen:
            continue
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            for statement in script.split(";"):
                if statement.strip():
                    connection.execute(statement)
            connection.execute("INSERT INTO migrations VALUES (?)", (name,))
        applied.append(name)
    return applied
