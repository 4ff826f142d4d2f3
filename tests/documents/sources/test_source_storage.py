"""Object storage through fsspec: S3 as a local server speaks it, and fsspec's own file system in memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from made_sources import by_name, kinds, origin, read_all, settings, synced

from groundtune.documents.catalogue import Catalogue
from groundtune.documents.sources.storage import open as open_storage
from groundtune.errors import MissingExtra, SourceError

pytest.importorskip("fsspec")


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    pytest.importorskip("s3fs")
    server = pytest.importorskip("moto.server").ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(endpoint: str) -> Iterator[Any]:
    import boto3

    made = boto3.resource("s3", endpoint_url=endpoint, aws_access_key_id="k", aws_secret_access_key="s", region_name="us-east-1").Bucket(
        "kbase"
    )
    made.create()
    yield made
    made.objects.all().delete()
    made.delete()


def s3(endpoint: str, url: str = "s3://kbase/docs", **given: Any) -> Any:
    return open_storage(settings("fsspec", url=url, options={"endpoint_url": endpoint, "key": "k", "secret": "s"}, **given), Path())


def test_objects_are_read_and_known_again_by_their_etag(endpoint: str, bucket: Any) -> None:
    for key, body in {"docs/a.md": "# A\n\none", "docs/in/b.md": "# B\n\ntwo", "docs/.git/x.md": "no", "other/c.md": "no"}.items():
        bucket.put_object(Key=key, Body=body.encode())
    assert read_all(s3(endpoint)) == {"a.md": b"# A\n\none", "in/b.md": b"# B\n\ntwo"}
    catalogue = Catalogue(None)
    synced(catalogue, origin(s3(endpoint)))
    stamps = {name: item.stamp for name, item in by_name(s3(endpoint)).items()}
    bucket.put_object(Key="docs/a.md", Body=b"# A\n\nnew")
    bucket.Object("docs/in/b.md").delete()
    assert by_name(s3(endpoint))["a.md"].stamp != stamps["a.md"] != ""
    assert kinds(synced(catalogue, origin(s3(endpoint)))) == {"box/a.md": "changed", "box/in/b.md": "gone"}


def test_keys_that_lead_upwards_are_refused(endpoint: str, bucket: Any) -> None:
    bucket.put_object(Key="docs/good.md", Body=b"# G\n\ngood")
    bucket.put_object(Key="docs/a/../../b.md", Body=b"# B\n\nbad")
    bucket.put_object(Key="docs/a//c.md", Body=b"# C\n\nbad")
    found = synced(Catalogue(None), origin(s3(endpoint)))
    assert {change.name for change in found.changes if change.known.documents} == {"box/good.md"}


def test_a_bucket_that_is_not_there_and_one_that_does_not_answer_are_out_of_reach(endpoint: str, bucket: Any) -> None:
    bucket.put_object(Key="docs/a.md", Body=b"# A\n\none")
    catalogue = Catalogue(None)
    synced(catalogue, origin(s3(endpoint)))
    for source in (s3(endpoint, url="s3://nobody-has-this/docs"), s3("http://127.0.0.1:9", timeout_seconds=1)):
        found = synced(catalogue, origin(source))
        assert kinds(found) == {"box/a.md": "kept"} and found.problems


def test_any_file_system_of_fsspec_and_its_limits() -> None:
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.pipe({"/store/a.md": b"# A\n\none", "/store/b.md": b"# B\n\ntwo"})
    table = settings("fsspec", url="memory://store")
    assert read_all(open_storage(table, Path())) == {"a.md": b"# A\n\none", "b.md": b"# B\n\ntwo"}
    with pytest.raises(SourceError, match="more than 1 items"):
        list(open_storage({**table, "most_items": 1}, Path()).items())
    with pytest.raises(SourceError, match="is not there"):
        list(open_storage({**table, "url": "memory://nowhere"}, Path()).items())
    with pytest.raises((SourceError, MissingExtra)):
        list(open_storage({**table, "url": "nosuchprotocol://x"}, Path()).items())
    memory.rm("/store", recursive=True)
