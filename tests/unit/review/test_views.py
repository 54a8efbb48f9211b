from mmdl.review.views import read_runs


def test_runs_of_one_name_are_called_by_their_folders(tmp_path, folders):
    paths = [folders.vqa(tmp_path / root, "a", items=3) for root in ("x", "y")]
    paths.append(folders.vqa(tmp_path / "x", "b", items=3))
    assert [run.id for run in read_runs(paths)] == ["x/a", "y/a", "b"]


def test_a_run_that_is_given_twice_counts_once(tmp_path, folders):
    path = folders.vqa(tmp_path, "a", items=3)
    assert [run.id for run in read_runs([path, path.parent / "." / "a"])] == ["a"]
