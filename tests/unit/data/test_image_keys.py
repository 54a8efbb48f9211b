"""Short names of image files."""

from __future__ import annotations

import random

from mmdl.data.image_keys import image_keys


def test_base_names_stay_where_they_are_unique() -> None:
    assert image_keys(["/data/x/a.png", "/data/y/b.png"]) == ["a.png", "b.png"]


def test_only_what_collides_gets_longer_and_moving_the_data_changes_nothing() -> None:
    for root in ("/data", "/elsewhere/data"):
        paths = [f"{root}/{name}" for name in ("x/cat/1.png", "y/cat/1.png", "z/1.png", "z/2.png")]
        assert image_keys(paths) == ["x/cat/1.png", "y/cat/1.png", "z/1.png", "2.png"]


def test_different_paths_never_share_a_key() -> None:
    random.seed(0)
    paths = ["/".join(random.choices("ab", k=random.randint(1, 5))) for _ in range(200)]
    keys = image_keys(paths)
    assert len(set(keys)) == len(set(paths))
    assert all(f"/{path}".endswith(f"/{key}") for path, key in zip(paths, keys, strict=True))
