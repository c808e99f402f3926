"""Temporary folders for the files of one run."""

import os
from pathlib import Path

import pytest

from trichat.testing._chat import scratch_folder
from trichat.testing._chat.scratch_folder import scratch


def test_a_folder_is_empty_and_gone_after_the_block() -> None:
    with scratch() as name:
        folder = Path(name)
        assert list(folder.iterdir()) == []
        (folder / "file").write_text("x")
    assert not folder.exists()


def test_each_folder_is_another_one() -> None:
    with scratch() as one, scratch() as other:
        assert one != other


@pytest.mark.skipif(not os.access("/dev/shm", os.W_OK), reason="this system keeps no files in memory")
def test_it_is_in_memory_where_there_is_such_a_place() -> None:
    with scratch() as folder:
        assert Path(folder).parent == Path("/dev/shm")


def test_it_is_where_temporary_files_are_otherwise(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(scratch_folder, "_MEMORY", tmp_path / "nowhere")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with scratch() as folder:
        assert Path(folder).parent == tmp_path
