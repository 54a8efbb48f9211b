import pytest

from mmdl.errors import UserError
from mmdl.runs.atomic_folder import atomic_folder


def ours(folder):
    return (folder / "mark").exists()


def write(target, text="new"):
    with atomic_folder(target, ours) as folder:
        (folder / "mark").write_text(text)
        assert not (target / "mark").exists() or (target / "mark").read_text() != text


def test_new_empty_and_own_folders_are_written(tmp_path):
    write(tmp_path / "deep" / "new")
    (tmp_path / "empty").mkdir()
    write(tmp_path / "empty")
    write(tmp_path / "empty", "newer")
    assert (tmp_path / "empty" / "mark").read_text() == "newer"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["deep", "empty"]


def test_an_error_leaves_what_was_there(tmp_path):
    write(tmp_path / "a", "old")

    def broken():
        with atomic_folder(tmp_path / "a", ours) as folder:
            (folder / "mark").write_text("half")
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        broken()
    assert (tmp_path / "a" / "mark").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_other_files_are_not_touched(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match="is a file"):
        write(tmp_path / "file")
    with pytest.raises(UserError, match="holds other files"):
        write(tmp_path)
    with pytest.raises(UserError, match="can't be written"):
        write(tmp_path / "file" / "below")
    assert (tmp_path / "file").read_text() == "mine"
