import errno
import os
import stat

import pytest

from mmdl.errors import UserError
from mmdl.runs import files
from mmdl.runs.files import WriteError, atomic_write, free_bytes, write_text, writing

CAUSES = {
    errno.ENOSPC: "the disk is full (0.0005 MB are needed, ",
    errno.EDQUOT: "the disk quota is used up (0.0005 MB are needed, ",
    errno.EIO: "the device reported an input/output error",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "no permission",
    errno.ENOENT: "its folder was removed or moved",
    errno.ENAMETOOLONG: "File name too long",
}


@pytest.mark.parametrize("number", CAUSES)
def test_the_cause_is_said_and_the_file_stays(tmp_path, number):
    path = tmp_path / "file"
    write_text(path, "before")

    def fail(handle):
        handle.write(b"x" * 500)
        raise OSError(number, os.strerror(number))

    with pytest.raises(WriteError) as raised:
        atomic_write(path, fail)
    assert raised.value.given.startswith(f"{path} could not be written: {CAUSES[number]}")
    assert "resume=latest" in raised.value.fix
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_is_begun_where_room_is_missing(tmp_path):
    def never(handle):
        raise AssertionError

    with pytest.raises(WriteError, match="the disk is full") as raised:
        atomic_write(tmp_path / "file", never, need=free_bytes(tmp_path) + 10**12)
    assert raised.value.no_room
    assert not list(tmp_path.iterdir())


def test_a_file_system_that_does_not_say_what_is_free_is_written_to(tmp_path, monkeypatch):
    facts = os.statvfs(tmp_path)
    silent = os.statvfs_result([*facts[:2], 0, 0, 0, *facts[5:]])
    monkeypatch.setattr(files.os, "statvfs", lambda folder: silent)
    assert free_bytes(tmp_path) is None
    atomic_write(tmp_path / "file", lambda handle: handle.write(b"x"), need=10**18)
    assert (tmp_path / "file").read_bytes() == b"x"


def test_a_folder_that_can_not_be_synced_is_no_error(tmp_path, monkeypatch):
    plain = os.fsync

    def fsync(handle):
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        plain(handle)

    monkeypatch.setattr(files.os, "fsync", fsync)
    write_text(tmp_path / "file", "x")
    assert (tmp_path / "file").read_text() == "x"


def test_errors_of_the_system_only_become_the_users(tmp_path):
    with pytest.raises(UserError, match="no permission"), writing(tmp_path / "file"):
        raise PermissionError(errno.EACCES, "Permission denied")
    with pytest.raises(ValueError, match="other"), writing(tmp_path / "file"):
        raise ValueError("other")
