"""Connections to Postgres: a few are kept open, each serves one thread at a time, and one that broke is replaced."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Empty, Full, LifoQueue
from typing import TYPE_CHECKING, Any

from groundtune.errors import ConfigError, MissingExtra, StaleIndex, StorageError

if TYPE_CHECKING:
    from psycopg import Connection

# Idle connections that are kept; more are opened while more threads ask, and closed after.
KEPT = 8


class Connections:
    """Connections of one user, or of the ``role`` that this user takes on."""

    def __init__(self, url: str, password: str | None, place: str, timeout: float, role: str | None = None) -> None:
        self._url, self._password, self._place, self._timeout, self._role = url, password, place, timeout, role
        self._idle: LifoQueue[Connection[Any]] = LifoQueue(KEPT)

    def _open(self) -> Connection[Any]:
        try:
            import psycopg
            from psycopg import sql
        except ModuleNotFoundError as error:
            raise MissingExtra.of(error.name or "psycopg", "pgvector") from error
        given: dict[str, Any] = {"connect_timeout": max(1, round(self._timeout)), "application_name": "groundtune"}
        if self._password is not None:
            given["password"] = self._password
        try:
            opened = psycopg.connect(self._url, autocommit=True, **given)
        except psycopg.ProgrammingError as error:
            raise ConfigError(
                f"index.url is not a Postgres address: {error}", 'write it as: url = "postgresql://user@host/database"'
            ) from None
        except psycopg.OperationalError as error:
            raise StorageError(f"{self._place} cannot be reached: {str(error).strip()}", "see that the server runs: pg_isready") from error
        if self._role is not None:
            opened.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(self._role)))
        return opened

    @contextmanager
    def one(self, *, checked: bool = True) -> Iterator[Connection[Any]]:
        """Lend a connection, ``checked`` to be alive. One that was left inside a transaction, or broke, is not lent again."""
        lent = None
        while lent is None:
            try:
                lent = self._idle.get_nowait()
            except Empty:
                lent = self._open()
            else:
                lent = lent if not checked or _alive(lent) else None
        try:
            yield lent
        finally:
            if lent.broken or lent.info.transaction_status != 0:
                lent.close()
            else:
                try:
                    self._idle.put_nowait(lent)
                except Full:
                    lent.close()

    def read(self, work: Callable[[Connection[Any]], Any]) -> Any:
        """Do what only reads; once more on a fresh connection where the one that was kept turns out to be dead, as after a restart."""
        import psycopg

        for attempt in range(KEPT + 2):
            try:
                with self.one(checked=False) as lent, told(self._place):
                    return work(lent)
            except StorageError as error:
                lost = isinstance(error.__cause__, psycopg.OperationalError) and lent.broken
                if not lost or attempt == KEPT + 1:
                    raise
        raise AssertionError("the loop returns or raises")

    def close(self) -> None:
        """Close what is idle."""
        while True:
            try:
                self._idle.get_nowait().close()
            except Empty:
                return


def _alive(connection: Connection[Any]) -> bool:
    import psycopg

    try:
        connection.execute("SELECT 1")
    except psycopg.OperationalError:
        connection.close()
        return False
    return True


@contextmanager
def told(place: str) -> Iterator[None]:
    """Raise what the server says as an error that a user can act on; a bug of ours stays what it is."""
    import psycopg
    from psycopg import errors

    try:
        yield
    except errors.DiskFull as error:
        raise StorageError(f"no space left on the server of {place}", "free some space there, then type: groundtune ingest") from error
    except (errors.UndefinedTable, errors.InvalidSchemaName) as error:
        raise StaleIndex(f"{place} does not hold this index: {str(error).strip()}", "type: groundtune ingest") from error
    except errors.InsufficientPrivilege as error:
        raise StorageError(
            f"{place} refuses: {str(error).strip()}", "let its administrator grant it, then type: groundtune ingest"
        ) from error
    except errors.QueryCanceled as error:
        raise StorageError(f"{place} took too long: {str(error).strip()}", "raise index.timeout_seconds") from error
    except psycopg.OperationalError as error:
        raise StorageError(f"{place} cannot be reached: {str(error).strip()}", "see that the server runs: pg_isready") from error
