import json

import numpy as np

from mmdl.data.sources import shard_table
from mmdl.data.sources.local_shards import LocalShards, expected_sizes


def written(folder, contents):
    paths = []
    for number, content in enumerate(contents):
        paths.append(folder / f"{number}.tar")
        paths[-1].write_bytes(content)
    return [str(path) for path in paths]


def test_headers_are_read_once(tmp_path, monkeypatch, shards):
    paths = written(tmp_path, [shards.tar(shards.members(range(3))), shards.tar(shards.members(range(3, 5)))])
    read = []
    plain = shard_table.scan_shard
    monkeypatch.setattr(shard_table, "scan_shard", lambda *words: read.append(words[1]) or plain(*words))
    for _ in range(2):
        local = LocalShards(paths, "txt")
        assert local.counts.tolist() == [3, 2]
        assert local.keys(1) == ["0003", "0004"]
        assert local.open(1).image(1) == shards.picture(4)
        assert local.open(1).captions(0) == b"picture number 3"
    assert sorted(read) == ["0.tar", "1.tar"]
    written(tmp_path, [shards.tar(shards.members(range(4)))])
    assert LocalShards(paths, "txt").counts.tolist() == [4, 2]
    assert len(read) == 3


def test_sizes_json_says_how_many_samples_were_lost(tmp_path, shards):
    content = shards.tar(shards.members(range(6)))
    paths = written(tmp_path, [content, content[: len(content) // 2], b"no tar"])
    (tmp_path / "sizes.json").write_text(json.dumps({"0.tar": 6, "1.tar": 6, "2.tar": 6}))
    local = LocalShards(paths, "txt")
    kept = local.counts.tolist()
    assert kept[0] == 6
    assert 0 < kept[1] < 6
    assert kept[2] == 0
    lost = sum(bad.count for bad in local.bad if bad.reason == "lost with its shard")
    assert lost == 18 - sum(kept)
    assert sorted(bad.reason for bad in local.bad if "shard" in bad.reason.split()[:2]) == [
        "corrupt shard",
        "shard ends early",
    ]


def test_sizes_that_are_none(tmp_path):
    assert expected_sizes(tmp_path) == {}
    for text in ("[1]", '{"a": -1}', "{"):
        (tmp_path / "sizes.json").write_text(text)
        assert expected_sizes(tmp_path) == {}


def test_few_files_stay_open(tmp_path, shards):
    paths = written(tmp_path, [shards.tar(shards.members([number])) for number in range(6)])
    local = LocalShards(paths, "txt")
    local._open.most = 2
    for shard in np.arange(6).tolist():
        assert local.open(shard).image(0) == shards.picture(shard)
    assert list(local._open) == [4, 5]
