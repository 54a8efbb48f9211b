import pytest

from mmdl.data.shard_names import braces, shard_paths, short_names
from mmdl.errors import UserError


def test_braces():
    assert braces("a-{098..101}.tar") == ["a-098.tar", "a-099.tar", "a-100.tar", "a-101.tar"]
    assert braces("{x,y}/{0..1}.tar") == ["x/0.tar", "y/0.tar", "x/1.tar", "y/1.tar"]
    assert braces("plain.tar") == ["plain.tar"]


def test_globs_folders_and_lists(tmp_path):
    for name in ("b.tar", "a.tar", "note.txt"):
        (tmp_path / name).touch()
    both = [str(tmp_path / "a.tar"), str(tmp_path / "b.tar")]
    assert shard_paths(f"{tmp_path}/*.tar", "data.shards") == both
    assert shard_paths(str(tmp_path), "data.shards") == both
    assert shard_paths(both, "data.shards") == both
    assert shard_paths("::".join(both), "data.shards") == both
    addresses = ["http://host/0.tar", "http://host/1.tar"]
    assert shard_paths("http://host/{0..1}.tar", "data.shards") == addresses


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ("s3://bucket/{0..1}.tar", "http"),
        ("pipe:cat a.tar", "no command is run"),
        ("{folder}/x*.tar", "nothing matches"),
        ("{folder}", "no .tar file"),
        ("a.tar::a.tar", "twice"),
        ([], "names no shard"),
    ],
)
def test_what_is_refused(tmp_path, given, part):
    if isinstance(given, str):
        given = given.replace("{folder}", str(tmp_path))
    with pytest.raises(UserError) as caught:
        shard_paths(given, "data.shards")
    assert part in str(caught.value)
    assert "data.shards" in str(caught.value)


def test_short_names_differ():
    assert short_names(["/x/0.tar", "/x/1.tar"]) == ["0.tar", "1.tar"]
    assert short_names(["/x/a/0.tar", "/x/b/0.tar", "/x/b/1.tar"]) == ["a_0.tar", "b_0.tar", "b_1.tar"]
