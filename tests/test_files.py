"""Files are published whole, on shares too that cannot sync a folder."""

import errno
import os
import stat
from pathlib import Path

import pytest

from dipbench.errors import StoreError
from dipbench.files import data_home, published


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP])
def test_a_folder_that_cannot_be_synced_is_no_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    sync = os.fsync

    def refuse_folders(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(number, os.strerror(number))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", refuse_folders)
    with published(tmp_path / "a.txt") as temporary:
        temporary.write_text("whole")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["whole"]


def test_a_read_only_mount_is_told_by_the_name_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, *options: object, **more: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    monkeypatch.setattr(Path, "write_text", refuse)
    monkeypatch.setattr(Path, "unlink", refuse)
    with (
        pytest.raises(StoreError, match=r"cannot write .*/a\.txt: Read-only file system$"),
        published(tmp_path / "a.txt", StoreError) as temporary,
    ):
        temporary.write_text("whole")


def test_a_home_that_is_nobodys_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIPBENCH_HOME", "~nosuchuser/x")
    assert data_home() == Path("~nosuchuser/x")
