"""LanceDB without its client's interface: what is left out is there for whoever asks for it."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("lancedb")

ASKED = """
import sys
from pydantic import BaseModel
from groundtune.chunks.late import lancedb
before = dict(BaseModel.model_config)
assert lancedb() is lancedb() is sys.modules["lancedb"]
assert dict(BaseModel.model_config) == before
client = "lance_namespace_urllib3_client"
assert not [name for name in sys.modules if name.startswith(client + ".api.")], "the interface was loaded"
class Mine(BaseModel):
    number: int
assert Mine.__pydantic_complete__
from lance_namespace import CreateNamespaceRequest
assert CreateNamespaceRequest(id=["a"]).to_dict() == {"id": ["a"]}
try:
    CreateNamespaceRequest(id=7)
    raise SystemExit("a model took what it must not")
except ValueError:
    pass
import lance_namespace_urllib3_client as package
assert package.TableApi.__module__ == client + ".api.table_api" and package.__version__
try:
    package.nothing
    raise SystemExit("a name that is not there was found")
except AttributeError:
    pass
"""


@pytest.mark.parametrize(
    "script",
    [ASKED, "import lancedb as theirs\nfrom groundtune.chunks.late import lancedb\nassert lancedb() is theirs"],
    ids=["imported by us", "imported before"],
)
def test_the_engine_is_imported_without_its_clients_interface_and_that_is_there_when_asked_for(script: str) -> None:
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-800:] + done.stdout
