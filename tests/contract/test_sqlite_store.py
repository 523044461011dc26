"""What only a file can do to a store: last, be shared, be broken, be locked."""

import asyncio
import os
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from priolb.errors import StoreError
from priolb.store import open_store
from priolb.store.sqlite import SqliteStore

A, B, C = "http://a:8545", "http://b:8545", "http://c:8545"

_ADD_TWENTY = """
import asyncio, sys
from priolb.store.sqlite import SqliteStore

async def main(path, name):
    store = SqliteStore(path)
    await store.open()
    for number in range(20):
        assert await store.add(f"http://{name}-{number}")
    await store.close()

asyncio.run(main(*sys.argv[1:]))
"""


def test_the_list_outlives_the_process(tmp_path: Path) -> None:
    """Two processes that start together on a file that is not there yet; a third one reads."""
    path = tmp_path / "nodes.db"
    source = Path(__file__).parents[2] / "src"
    environment = {**os.environ, "PYTHONPATH": str(source)}
    processes = [
        subprocess.Popen([sys.executable, "-c", _ADD_TWENTY, str(path), name], env=environment)
        for name in ("first", "second")
    ]
    assert [process.wait(30) for process in processes] == [0, 0]

    async def main() -> None:
        store = open_store(f"sqlite:///{path}", "")
        await store.open()
        uris = await store.nodes()
        assert [uri for uri in uris if "first" in uri] == [f"http://first-{n}" for n in range(20)]
        assert [uri for uri in uris if "second" in uri] == [f"http://second-{n}" for n in range(20)]
        assert len(uris) == 40
        await store.close()

    asyncio.run(main())


def test_ten_stores_opened_at_once_on_a_new_file_all_open(tmp_path: Path) -> None:
    async def main() -> None:
        stores = [SqliteStore(str(tmp_path / "nodes.db")) for _ in range(10)]
        await asyncio.gather(*(store.open() for store in stores))
        await stores[0].add(A)
        assert [await store.nodes() for store in stores] == [[A]] * 10
        await asyncio.gather(*(store.close() for store in stores))

    asyncio.run(main())


def test_a_relative_path_is_bound_when_the_store_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = open_store("sqlite:///nodes.db", "")
    monkeypatch.chdir("/")

    async def main() -> None:
        await store.open()
        await store.close()

    asyncio.run(main())
    assert store.describe() == f"sqlite:///{tmp_path}/nodes.db"
    assert (tmp_path / "nodes.db").is_file()


def test_a_closed_store_leaves_one_file_and_no_thread(tmp_path: Path) -> None:
    async def main() -> None:
        store = SqliteStore(str(tmp_path / "nodes.db"))
        await store.open()
        await store.add(A)
        threads = [thread for thread in threading.enumerate() if thread.name.startswith("priolb-sqlite")]
        assert len(threads) == 1
        await store.close()
        threads[0].join(5)
        assert not threads[0].is_alive()

    asyncio.run(main())
    assert [path.name for path in tmp_path.iterdir()] == ["nodes.db"]


def test_a_folder_that_is_not_there_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "nodes.db"
    with pytest.raises(StoreError) as caught:
        asyncio.run(SqliteStore(str(path)).open())
    assert str(caught.value) == f"store sqlite:///{path}: unable to open database file"


def test_a_folder_in_place_of_the_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as caught:
        asyncio.run(SqliteStore(str(tmp_path)).open())
    assert str(caught.value) == f"store sqlite:///{tmp_path}: unable to open database file"


def test_a_file_of_another_kind_is_an_error_and_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "nodes.db"
    path.write_bytes(b"this is no database" * 100)
    with pytest.raises(StoreError) as caught:
        asyncio.run(SqliteStore(str(path)).open())
    assert str(caught.value) == f"store sqlite:///{path}: file is not a database"
    assert path.read_bytes() == b"this is no database" * 100


def test_a_table_of_another_shape_is_an_error_at_open(tmp_path: Path) -> None:
    path = tmp_path / "nodes.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE priolb_nodes (name TEXT)")
    with pytest.raises(StoreError) as caught:
        asyncio.run(SqliteStore(str(path)).open())
    assert str(caught.value) == f"store sqlite:///{path}: no such column: uri"


@pytest.mark.parametrize("value", [None, 7, b"aa"])
def test_a_table_that_holds_what_is_no_text_is_an_error_until_it_does_not(
    tmp_path: Path, value: object
) -> None:
    """It may be the work of another program."""
    path = tmp_path / "nodes.db"
    words = f"store sqlite:///{path}: table priolb_nodes holds what is no text"

    async def main() -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("CREATE TABLE priolb_nodes (position INTEGER PRIMARY KEY, uri BLOB UNIQUE)")
            other.execute("INSERT INTO priolb_nodes (uri) VALUES (?)", (A,))
            store = SqliteStore(str(path))
            await store.open()
            other.execute("INSERT INTO priolb_nodes (uri) VALUES (?)", (value,))
            with pytest.raises(StoreError) as caught:
                await store.nodes()
            assert str(caught.value) == words
            second = SqliteStore(str(path))
            with pytest.raises(StoreError) as caught:
                await second.open()
            assert str(caught.value) == words
            other.execute("DELETE FROM priolb_nodes WHERE position = 2")
            assert await store.nodes() == [A]
            await store.close()

    asyncio.run(main())


def test_opening_can_be_tried_again_after_it_failed(tmp_path: Path) -> None:
    folder = tmp_path / "later"

    async def main() -> None:
        store = SqliteStore(str(folder / "nodes.db"))
        with pytest.raises(StoreError):
            await store.open()
        with pytest.raises(StoreError, match="not open"):
            await store.nodes()
        folder.mkdir()
        await store.open()
        assert await store.nodes() == []
        await store.close()

    asyncio.run(main())


def test_a_change_waits_for_another_writer_only_so_long_and_is_then_not_made(tmp_path: Path) -> None:
    """The reader is not held up by the writer; the third change never gets its turn."""
    path = tmp_path / "nodes.db"

    async def main() -> None:
        store = SqliteStore(str(path), call_timeout_s=0.5)
        await store.open()
        await store.add(A)
        with closing(sqlite3.connect(path, isolation_level=None)) as writer:
            writer.execute("BEGIN IMMEDIATE")
            assert await store.nodes() == [A]
            began = time.monotonic()
            first, second = await asyncio.gather(store.add(B), store.remove(A), return_exceptions=True)
            elapsed_s = time.monotonic() - began
            writer.execute("ROLLBACK")
        assert isinstance(first, StoreError)
        assert isinstance(second, StoreError)
        assert str(first) == f"store sqlite:///{path}: database is locked"
        assert str(second) == f"store sqlite:///{path}: no turn within 0.5 s"
        assert 0.1 < elapsed_s < 4
        assert await store.nodes() == [A]
        assert await store.add(B) is True
        await store.close()

    asyncio.run(main())


def test_a_disk_that_hangs_holds_nobody_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a call, nor one behind it, nor the end of the program."""
    monkeypatch.setattr("priolb.store.sqlite._DISK_S", 0.05)
    path, is_over = tmp_path / "nodes.db", threading.Event()

    async def main() -> None:
        store = SqliteStore(str(path), call_timeout_s=0.05)
        await store.open()
        hanging = asyncio.create_task(store._run(lambda: is_over.wait(30), 0.05))
        calls = await asyncio.gather(hanging, store.add(A), return_exceptions=True)
        what = "no answer of the disk; what was asked for may still be done"
        assert [str(error) for error in calls] == [f"store sqlite:///{path}: {what}"] * 2
        await store.close()
        is_over.set()

    asyncio.run(main())


def test_opening_a_locked_file_ends_in_time(tmp_path: Path) -> None:
    path = tmp_path / "nodes.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        began = time.monotonic()
        with pytest.raises(StoreError, match="database is locked"):
            asyncio.run(SqliteStore(str(path), open_timeout_s=0.2).open())
        assert time.monotonic() - began < 4


def test_a_uri_that_is_no_text_for_sqlite_is_an_error(tmp_path: Path) -> None:
    async def main() -> None:
        store = SqliteStore(str(tmp_path / "nodes.db"))
        await store.open()
        with pytest.raises(StoreError, match="surrogates not allowed"):
            await store.add("http://\ud800")
        assert await store.nodes() == []
        await store.close()

    asyncio.run(main())


def test_a_caller_that_leaves_does_not_disturb_the_store(tmp_path: Path) -> None:
    async def main() -> None:
        store = SqliteStore(str(tmp_path / "nodes.db"))
        await store.open()
        for _ in range(20):
            call = asyncio.create_task(store.nodes())
            await asyncio.sleep(0)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
        assert await store.add(A) is True
        assert await store.nodes() == [A]
        await store.close()

    asyncio.run(main())


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def delete(path: Path) -> None:
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()


def test_a_file_that_is_deleted_takes_no_change_and_is_used_again_once_it_is_back(tmp_path: Path) -> None:
    """SQLite would go on writing to the file without a name, which the next start does not read."""
    path, copy = tmp_path / "nodes.db", tmp_path / "copy"

    async def main() -> None:
        store = SqliteStore(str(path))
        await store.open()
        await store.add(A)
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
        delete(path)
        for call in (store.add(B), store.remove(A), store.nodes()):
            with pytest.raises(StoreError) as caught:
                await call
            what = "the file was deleted or moved while in use (No such file or directory)"
            assert str(caught.value) == f"store sqlite:///{path}: {what}"
        assert names_in(tmp_path) == ["copy"]
        copy.rename(path)
        assert await store.add(B) is True
        await store.close()
        await store.open()
        assert await store.nodes() == [A, B]
        await store.close()

    asyncio.run(main())


def test_a_file_that_has_come_in_place_of_another_is_used_and_shared(tmp_path: Path) -> None:
    path, other = tmp_path / "nodes.db", tmp_path / "other.db"

    async def main() -> None:
        store, writer = SqliteStore(str(path)), SqliteStore(str(other))
        await store.open()
        await store.add(A)
        await writer.open()
        await writer.add(B)
        await writer.close()
        delete(path)
        other.rename(path)
        assert await store.nodes() == [B]
        assert await store.add(C) is True
        second = SqliteStore(str(path))
        await second.open()
        assert await second.nodes() == [B, C]
        await second.close()
        await store.close()

    asyncio.run(main())


def test_a_file_of_another_kind_in_place_of_the_list_is_an_error_until_a_list_is_there(
    tmp_path: Path,
) -> None:
    path = tmp_path / "nodes.db"

    async def main() -> None:
        store = SqliteStore(str(path))
        await store.open()
        delete(path)
        path.write_bytes(b"this is no database" * 100)
        for call in (store.add(A), store.nodes()):
            with pytest.raises(StoreError) as caught:
                await call
            assert str(caught.value) == f"store sqlite:///{path}: file is not a database"
        path.write_bytes(b"")
        assert await store.add(B) is True
        assert await store.nodes() == [B]
        await store.close()

    asyncio.run(main())


@pytest.mark.parametrize("comes", [None, b""])
def test_a_change_during_which_the_file_goes_is_not_confirmed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, comes: bytes | None
) -> None:
    path = tmp_path / "nodes.db"

    def lose(_deadline: float) -> None:
        """Lose the file between the look at it and the change."""
        path.rename(tmp_path / "gone")
        if comes is not None:
            path.write_bytes(comes)

    async def main() -> None:
        store = SqliteStore(str(path))
        await store.open()
        monkeypatch.setattr(store, "_keep_to_the_path", lose)
        with pytest.raises(StoreError) as caught:
            await store.add(A)
        what = (
            "deleted or moved while in use" if comes is None else "replaced during the change, which is lost"
        )
        assert str(caught.value).startswith(f"store sqlite:///{path}: the file was {what}")
        await store.close()

    asyncio.run(main())
