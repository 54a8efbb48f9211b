import json
import pickle
import time

import numpy as np
import pytest
import torch

from mmdl.data.caption_dataset import EpochSampler
from mmdl.data.paths import data_home
from mmdl.data.sampler import GroupedBatchSampler
from mmdl.data.sources.remote_shards import RemoteShards
from mmdl.data.tokenizer.word import WordTokenizer
from mmdl.data.webdataset import webdataset
from mmdl.errors import UserError

COUNT = 6


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A data home of its own, so that nothing is cached yet."""
    monkeypatch.setenv("MMDL_DATA", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def site(server, shards, home):
    """Six shards of four samples, and one each for validation and test."""
    for number in range(COUNT + 2):
        name = f"train-{number}.tar" if number < COUNT else ("val.tar", "test.tar")[number - COUNT]
        server.files[f"/{name}"] = shards.tar(shards.members(range(4 * number, 4 * number + 4)))
    server.files["/sizes.json"] = json.dumps({name[1:]: 4 for name in server.files}).encode()
    return server


def made(site, **options):
    options = {
        "val_shards": f"{site.url}/val.tar",
        "test_shards": f"{site.url}/test.tar",
        "tokenizer": WordTokenizer(8),
        "batch_size": 4,
        "image_size": 16,
        "shuffle_shards": 2,
        "vocab_samples": 4,
    } | options
    data = webdataset(options.pop("shards", f"{site.url}/train-{{0..5}}.tar"), **options)
    data.prepare_data()
    data.setup()
    return data


def batches(data, epoch=0, start=0):
    sampler = GroupedBatchSampler(
        data.offsets("train"), 4, group=False, start=(epoch, start), order=data.order("train")
    )
    return list(data.loader("train", EpochSampler(sampler)))


def fetched(site):
    return [path for path, _, status in site.log if status == 200 and path.endswith(".tar")]


def test_equals_local_shards(site, tmp_path):
    folder = tmp_path / "local"
    folder.mkdir()
    for name, content in site.files.items():
        (folder / name[1:]).write_bytes(content)
    local = webdataset(
        f"{folder}/train-{{0..5}}.tar",
        f"{folder}/val.tar",
        f"{folder}/test.tar",
        tokenizer=WordTokenizer(8),
        batch_size=4,
        image_size=16,
        shuffle_shards=2,
        vocab_samples=4,
    )
    local.setup()
    remote = made(site)
    for epoch in range(2):
        for one, other in zip(batches(local, epoch), batches(remote, epoch), strict=True):
            assert all(torch.equal(one[name], other[name]) for name in one if name != "tokens")
    assert sorted(set(fetched(site))) == sorted(name for name in site.files if name.endswith(".tar"))
    assert len(fetched(site)) == len(set(fetched(site))), "each shard is fetched once"


def test_a_shard_is_fetched_when_it_is_reached(site):
    data = made(site)
    before = set(fetched(site))
    assert len(before) <= 3, "validation, test, and one for the vocabulary"
    order = data.order("train")(0, 0)
    first = [f"/train-{row // 4}.tar" for row in order[:8].tolist()]
    data.dataset("train").index.shards.expect = lambda _: None
    data.dataset("train")[order[:8]]
    assert set(fetched(site)) == before | set(first)


def test_shards_that_come_next_are_fetched_ahead(site):
    data = made(site)
    index = data.dataset("train").index
    index.shards.expect([0, 1, 2, 3])
    for _ in range(400):
        if {f"/train-{number}.tar" for number in range(4)} <= set(fetched(site)):
            break
        time.sleep(0.02)
    assert {f"/train-{number}.tar" for number in range(4)} <= set(fetched(site))


def test_continuing_inside_an_epoch_reads_only_what_follows(site, home):
    whole = batches(made(site), epoch=3)
    site.log.clear()
    for path in (home / "cache" / "remote_shards").glob("*.tar"):
        path.unlink()
    resumed = batches(made(site), epoch=3, start=4)
    assert [batch["rows"].tolist() for batch in resumed] == [batch["rows"].tolist() for batch in whole[4:]]
    order = made(site).order("train")(0, 3)
    past = {f"/train-{row // 4}.tar" for row in order[:8].tolist()}
    assert not past & (set(fetched(site)) - {"/train-0.tar"}), "the first one gave the vocabulary"


def test_the_folder_stays_within_its_bound(site, home):
    size = len(site.files["/train-0.tar"])
    data = made(site, cache_gb=4.5 * size / 1e9, shuffle_shards=1)
    for epoch in range(2):
        assert len(batches(data, epoch)) == COUNT
        there = list((home / "cache" / "remote_shards").glob("*.tar"))
        assert sum(path.stat().st_size for path in there) <= 4.5 * size
    assert len(fetched(site)) > len(set(fetched(site)))


def test_loader_workers_share_the_folder(site):
    alone, several = made(site), made(site, num_workers=2)
    for one, other in zip(batches(alone), batches(several), strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one)
    assert len(fetched(site)) == len(set(fetched(site)))


def test_sizes_are_asked_for(site):
    del site.files["/sizes.json"]
    with pytest.raises(UserError) as caught:
        made(site)
    text = str(caught.value)
    assert "how many samples" in text
    assert f"{site.url}/sizes.json" in text
    site.files["/sizes.json"] = b"[]"
    with pytest.raises(UserError, match=r"sizes\.json can't be used"):
        made(site)


def test_shards_that_were_read_before_need_no_sizes(site):
    batches(made(site))
    del site.files["/sizes.json"]
    assert len(made(site).dataset("train")) == 4 * COUNT


def test_a_server_that_is_away(site, home):
    made(site)
    site.status[:] = [503] * 100
    from mmdl.data.sources import remote_shards

    plain = remote_shards.download
    remote_shards.download = lambda url, path, **words: plain(url, path, attempts=1, pause=0.0, **words)
    try:
        with pytest.raises(UserError, match=r"can't download .*train-[1-5]\.tar"):
            batches(made(site))
    finally:
        remote_shards.download = plain


def test_a_shard_that_is_missing_damaged_or_shorter(site, shards):
    del site.files["/train-1.tar"]
    site.files["/train-2.tar"] = b"no tar" * 500
    site.files["/train-3.tar"] = shards.tar(shards.members(range(12, 14)))
    data = made(site, on_bad_sample="skip")
    seen = sorted({row for batch in batches(data) for row in batch["rows"].tolist()})
    assert seen == [*range(4), 12, 13, *range(16, 24)]
    assert data.skipped == {"lost with its shard": 10}
    with pytest.raises(UserError, match="lost with its shard"):
        batches(made(site))


def test_held_out_samples_come_from_the_last_shards(site):
    data = made(site, val_shards=None, test_shards=None, val_samples=3, test_samples=3)
    assert {split: len(ids) for split, ids in data.splits().items()} == {"train": 18, "val": 3, "test": 3}
    assert sorted(data.splits()["test"]) == ["train-5.tar/0021", "train-5.tar/0022", "train-5.tar/0023"]


def test_a_copy_in_another_process_begins_without_open_files(site):
    shards = RemoteShards([f"{site.url}/train-0.tar"], "txt", "data.shards", 10**9)
    shards.open(0)
    assert len(pickle.loads(pickle.dumps(shards))._open) == 0
    assert np.array_equal(shards.counts, [4])
    assert data_home().name == "home"
