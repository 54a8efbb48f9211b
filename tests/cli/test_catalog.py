from __future__ import annotations

import pytest

from mmdl.cli.catalog import catalog, describe, files, groups


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("# One line\nx: 1\n", "One line"),
        ("# @package _global_\n# After the header\nx: 1\n", "After the header"),
        ("\n#\n#  Spaced  \n", "Spaced"),
        ("x: 1\n# too late\n", ""),
        ("", ""),
    ],
)
def test_the_description_is_the_first_comment(tmp_path, text, line):
    path = tmp_path / "a.yaml"
    path.write_text(text)
    assert describe(path) == line


def test_the_callers_configs_come_first_and_add_to_the_packaged(place):
    (place.caller / "conf" / "data").mkdir(parents=True)
    (place.caller / "conf" / "data" / "plain.yaml").write_text("# Mine instead\n")
    (place.caller / "conf" / "data" / "zoo.yaml").write_text("# Animals\n")
    assert catalog("data") == {"other": "Other data", "plain": "Mine instead", "zoo": "Animals"}
    assert files("data")["plain"] == place.caller / "conf" / "data" / "plain.yaml"
    assert groups() == ["data", "experiment"]


def test_the_packaged_folder_is_not_searched_twice_from_its_own_repository(place, monkeypatch):
    place.packaged.rename(place.packaged.with_name("conf"))
    monkeypatch.setattr("mmdl.cli.paths.PACKAGED_CONF", place.packaged.with_name("conf"))
    monkeypatch.chdir(place.packaged.parent)
    from mmdl.cli.paths import caller_conf

    assert caller_conf() is None
    assert list(catalog("data")) == ["other", "plain"]


def test_an_unknown_group_is_empty(place):
    assert catalog("nothing") == {}
