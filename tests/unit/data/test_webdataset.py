import itertools
import json
import pickle

import numpy as np
import pytest
import torch

from mmdl.batch import contract_errors
from mmdl.checking import split_errors
from mmdl.data.caption_dataset import EpochRows, EpochSampler
from mmdl.data.sampler import GroupedBatchSampler
from mmdl.data.shard_dataset import PLACES
from mmdl.data.tokenizer.word import WordTokenizer
from mmdl.data.webdataset import webdataset
from mmdl.errors import UserError


@pytest.fixture
def folder(tmp_path, shards):
    """Five shards of six samples for training, one each for validation and test."""
    for number in range(7):
        name = f"train-{number}.tar" if number < 5 else ("val.tar", "test.tar")[number - 5]
        first = 6 * number
        (tmp_path / name).write_bytes(shards.tar(shards.members(range(first, first + 6))))
    return tmp_path


def made(folder, *, stage=True, **options):
    options = {
        "val_shards": f"{folder}/val.tar",
        "test_shards": f"{folder}/test.tar",
        "tokenizer": WordTokenizer(8),
        "batch_size": 4,
        "image_size": 16,
        "shuffle_shards": 2,
    } | options
    data = webdataset(options.pop("shards", f"{folder}/train-{{0..4}}.tar"), **options)
    if stage:
        data.prepare_data()
        data.setup()
    return data


def batches(data, *, epoch=0, start=0, rank=0, world_size=1):
    sampler = GroupedBatchSampler(
        data.offsets("train"),
        data.batch_size,
        seed=data.seed,
        group=False,
        rank=rank,
        world_size=world_size,
        start=(epoch, start),
        order=data.order("train"),
    )
    return list(data.loader("train", EpochSampler(sampler)))


def equal(one, other):
    assert len(one) == len(other)
    for first, second in zip(one, other, strict=True):
        assert first.keys() == second.keys()
        for name in first:
            assert torch.equal(first[name], second[name]), name


def names(data, batch):
    return [data.streams["train"].index.name(row) for row in batch["rows"].tolist()]


def test_a_batch_holds_images_with_their_captions(folder):
    data = made(folder)
    found = batches(data)
    assert [contract_errors(batch, data.produces) for batch in found] == [[]] * 8
    words = {index: word for word, index in data.tokenizer._ids.items()}
    seen = []
    for batch in found:
        for row, tokens in zip(batch["rows"].tolist(), batch["tokens"], strict=True):
            key = data.streams["train"].index.name(row).split("/")[1]
            assert [words[token] for token in tokens.tolist()[:3]] == ["picture", "number", str(int(key))]
            seen.append(row)
    assert sorted(seen) == list(range(30))
    assert seen != list(range(30))


def test_pixels_are_those_of_the_file(folder, shards):
    import io

    from mmdl.data.transforms.image import load_image

    data = made(folder, resize="crop")
    batch = data.dataset("train")[np.array([17, 3])]
    for row, image in zip((17, 3), batch["images"], strict=True):
        assert torch.equal(image, load_image(io.BytesIO(shards.picture(row)), 16, "crop"))


@pytest.mark.parametrize("start", [1, 3, 7])
def test_an_epoch_continues_exactly(folder, start):
    data = made(folder)
    equal(batches(data, epoch=2)[start:], batches(data, epoch=2, start=start))


def test_loader_workers_change_nothing(folder):
    equal(batches(made(folder), epoch=1), batches(made(folder, num_workers=2), epoch=1))


@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_ranks_share_one_global_order(folder, world_size):
    data = made(folder, batch_size=12 // world_size)
    alone = made(folder, batch_size=12)
    parts = [batches(data, epoch=1, rank=rank, world_size=world_size) for rank in range(world_size)]
    for step, whole in enumerate(batches(alone, epoch=1)):
        joined = torch.cat([part[step]["rows"] for part in parts])
        assert joined.tolist() == whole["rows"].tolist()
        captions = torch.cat([part[step]["caption_rows"] for part in parts])
        assert captions.tolist() == whole["caption_rows"].tolist()
    seen = torch.cat([batch["rows"] for part in parts for batch in part])
    assert sorted(seen.tolist()) == list(range(30))


def test_few_shards_are_open_at_a_time(folder):
    data = made(folder, batch_size=1, shuffle_shards=1)
    visited = [name.split("/")[0] for batch in batches(data) for name in names(data, batch)]
    changes = sum(first != second for first, second in itertools.pairwise(visited))
    assert changes == 4
    assert visited != sorted(visited)


def several(number, files):
    files["txt"] = "\n".join(f"caption {place} of {number}" for place in range(1 + number % 4)).encode()


def test_captions_are_drawn_anew_each_epoch(tmp_path, shards):
    (tmp_path / "a.tar").write_bytes(shards.tar(shards.members(range(24), several)))
    data = made(
        tmp_path,
        shards=f"{tmp_path}/a.tar",
        val_shards=None,
        test_shards=None,
        val_samples=2,
        test_samples=2,
        caption_per_line=True,
        captions_per_image=2,
    )
    stream = data.dataset("train")
    rows = np.arange(20)
    sizes = np.array([1 + int(stream.index.name(row).split("/")[1]) % 4 for row in rows])
    draws = []
    for epoch in range(3):
        batch = stream[EpochRows(rows, epoch)]
        own = torch.bincount(batch["image_index"], minlength=20).numpy()
        assert own.tolist() == np.minimum(sizes, 2).tolist()
        assert len(set(batch["caption_rows"].tolist())) == len(batch["caption_rows"])
        assert (batch["caption_rows"] >> PLACES).tolist() == rows[batch["image_index"].numpy()].tolist()
        draws.append(batch["caption_rows"].tolist())
        alone = stream[EpochRows(rows[7:8], epoch)]["caption_rows"]
        assert alone.tolist() == batch["caption_rows"][batch["image_index"] == 7].tolist()
    assert draws[0] != draws[1] != draws[2]


def test_held_out_samples_are_no_training_samples(folder):
    options = {"val_shards": None, "test_shards": None, "val_samples": 5, "test_samples": 4}
    data = made(folder, **options)
    assert {split: len(ids) for split, ids in data.splits().items()} == {"train": 21, "val": 5, "test": 4}
    assert split_errors(data) == []
    assert set().union(*map(set, data.splits().values())) == {
        f"train-{number // 6}.tar/{number:04d}" for number in range(30)
    }
    more = made(folder, **options | {"val_samples": 9})
    assert set(more.splits()["test"]) == set(data.splits()["test"])
    with pytest.raises(UserError, match="too few to hold 30 out"):
        made(folder, **options | {"val_samples": 26})


def test_shared_samples_are_found(folder):
    (error,) = split_errors(made(folder, val_shards=f"{folder}/train-3.tar"))
    assert "'train' and 'val' share 6 of 30 and 6" in str(error)


def test_cached_pixels_are_the_same_samples(folder):
    streamed, cached = made(folder), made(folder, cache_pixels=True)
    assert cached.streams == {}
    assert sorted(cached.splits()["train"]) == sorted(streamed.splits()["train"])
    rows = np.arange(30)
    one, other = streamed.dataset("train")[rows], cached.dataset("train")[rows]
    assert torch.equal(one["images"], other["images"])
    assert torch.equal(one["tokens"], other["tokens"])


def test_equal_pictures_are_no_negatives(tmp_path, shards):
    def twice(number, files):
        files["png"] = shards.picture(number // 2)

    (tmp_path / "a.tar").write_bytes(shards.tar(shards.members(range(8), twice)))
    for name in ("val", "test"):
        (tmp_path / f"{name}.tar").write_bytes(shards.tar(shards.members(range(50, 52))))
    ids = made(tmp_path, shards=f"{tmp_path}/a.tar").dataset("train")[np.arange(8)]["image_ids"]
    assert torch.equal(ids[::2], ids[1::2])
    assert len(set(ids.tolist())) == 4


# -- bad input --------------------------------------------------------------------------------------------------------


@pytest.fixture
def broken(folder, shards):
    """A damaged data set: 30 training samples were meant."""

    def change(number, files):
        if number == 8:
            files["png"] = files["png"][:100]
        if number == 9:
            files["png"] = b"no image at all"
        if number == 10:
            files["txt"] = b"  "
        if number == 11:
            files["txt"] = b"\xff\xfe"

    (folder / "train-0.tar").write_bytes(b"no tar" * 1000)
    (folder / "train-1.tar").write_bytes(shards.tar(shards.members(range(6, 12), change)))
    content = (folder / "train-2.tar").read_bytes()
    (folder / "train-2.tar").write_bytes(content[: len(content) // 2])
    lacking = [item for item in shards.members(range(18, 24)) if item[0] not in ("0019.txt", "0020.png")]
    (folder / "train-3.tar").write_bytes(shards.tar(lacking))
    (folder / "train-4.tar").unlink()
    (folder / "sizes.json").write_text(json.dumps({f"train-{number}.tar": 6 for number in range(5)}))
    return folder


def test_all_that_the_headers_show_is_listed_at_once(broken):
    with pytest.raises(UserError) as caught:
        made(broken)
    text = str(caught.value)
    for part in (
        "shard train-0.tar is no tar file",
        "shard train-2.tar ends early",
        "train-3.tar/0019: no caption",
        "train-3.tar/0020: no image",
        f"shard not found: {broken}/train-4.tar",
        "data.on_bad_sample=skip",
    ):
        assert part in text, part


def test_skipping_counts_by_reason_and_leaves_the_order_of_the_others(broken, tmp_path):
    data = made(broken, on_bad_sample="skip")
    known = data.skipped
    assert known["corrupt shard"] == known["shard ends early"] == known["missing shard"] == 1
    assert known["no image"] == known["no caption"] == 1
    usable = len(data.dataset("train"))
    assert known["lost with its shard"] == 30 - usable - 2
    order = data.order("train")(0, 0).tolist()
    found = [row for batch in batches(data) for row in batch["rows"].tolist()]
    stream = data.dataset("train")
    bad = [row for row in range(usable) if stream.index.name(row)[-2:] in ("08", "09", "10", "11")]
    assert found == [row for row in order if row not in bad]
    assert stream.skipped() == {"truncated": 1, "not an image": 1, "empty caption": 1, "not UTF-8": 1}
    assert data.skipped["truncated"] == 1
    batches(data, epoch=1)
    assert data.skipped["truncated"] == 1, "a sample counts once, however often it is read"
    assert "left out while reading train: 1 truncated" in data.notes("val")


def test_workers_tell_what_they_left_out(broken):
    data, alone = made(broken, on_bad_sample="skip", num_workers=2), made(broken, on_bad_sample="skip")
    equal(batches(data), batches(alone))
    assert data.skipped == alone.skipped


def test_a_batch_of_bad_samples_only_takes_the_next_good_one(broken):
    data = made(broken, on_bad_sample="skip")
    stream = data.dataset("train")
    bad = next(row for row in range(len(stream)) if stream.index.name(row).endswith("08"))
    batch = stream[EpochRows(np.array([bad]), 0)]
    assert stream.index.name(int(batch["rows"])) not in {"train-1.tar/0008", "train-1.tar/0009"}
    assert contract_errors(batch, data.produces) == []


@pytest.mark.parametrize("workers", [0, 1])
def test_a_bad_image_stops_the_training_with_its_name(folder, shards, workers):
    def change(number, files):
        if number == 3:
            files["png"] = files["png"][:80]

    (folder / "train-0.tar").write_bytes(shards.tar(shards.members(range(6), change)))
    data = made(folder, num_workers=workers)
    with pytest.raises(UserError) as caught:
        batches(data)
    assert "train-0.tar/0003" in str(caught.value)
    assert "Traceback" not in str(caught.value)
    assert "data.on_bad_sample=skip" in str(caught.value)


def test_bad_evaluation_samples_are_listed_before_training(folder, shards):
    def change(number, files):
        if number in (31, 32):
            files["txt"] = b" "

    (folder / "val.tar").write_bytes(shards.tar(shards.members(range(30, 36), change)))
    with pytest.raises(UserError) as caught:
        made(folder)
    assert "val.tar/0031" in str(caught.value)
    assert "val.tar/0032" in str(caught.value)
    data = made(folder, on_bad_sample="skip")
    assert len(data.splits()["val"]) == 4
    assert data.skipped == {"empty caption": 2}


def test_a_shard_that_goes_away_while_training(folder):
    data = made(folder, on_bad_sample="skip", stage=False)
    data.setup()
    data.dataset("train").index.shards._open.clear()  # the vocabulary was read from it
    (folder / "train-2.tar").unlink()
    seen = [row for batch in batches(data) for row in batch["rows"].tolist()]
    assert len(seen) == 24
    assert data.skipped == {"lost with its shard": 6}


def test_without_a_usable_sample(folder):
    for number in range(5):
        (folder / f"train-{number}.tar").write_bytes(b"")
    with pytest.raises(UserError, match="hold no usable sample"):
        made(folder, on_bad_sample="skip")


@pytest.mark.parametrize(
    "options", [{"shuffle_shards": 0}, {"val_samples": 0}, {"vocab_samples": 0}, {"cache_gb": 0}]
)
def test_settings_that_mean_nothing(folder, options):
    with pytest.raises(UserError):
        made(folder, stage=False, **options)


def test_the_vocabulary_is_made_of_a_bounded_number_of_captions(folder):
    data = made(folder, vocab_samples=5)
    assert data.vocab_size == 2 + 2 + 5
    assert made(folder).vocab_size == 2 + 2 + 30


def test_json_captions(tmp_path, shards):
    def change(number, files):
        del files["txt"]
        files["json"] = json.dumps({"captions": [f"one {number}", f"two {number}"]}).encode()

    for name, first in (("a", 0), ("val", 10), ("test", 20)):
        (tmp_path / f"{name}.tar").write_bytes(shards.tar(shards.members(range(first, first + 4), change)))
    data = made(
        tmp_path,
        shards=f"{tmp_path}/a.tar",
        caption_file="json",
        caption_field="captions",
        captions_per_image=None,
    )
    assert len(data.dataset("train")[np.arange(4)]["tokens"]) == 8
    assert len(data.dataset("val")[np.arange(4)]["tokens"]) == 8


def test_the_data_set_goes_to_a_process_that_begins_anew(folder):
    """As with the start method `spawn`: open files and threads stay behind."""
    stream = made(folder).dataset("train")
    rows = np.arange(5)
    batch = stream[rows]
    copy = pickle.loads(pickle.dumps(stream))
    assert len(copy.index.shards._open) == 0
    equal([copy[rows]], [batch])


def test_augmentation_that_fills_asks_for_few_images(folder):
    from mmdl.data.augment.cutout import Cutout

    step = Cutout(size=4, fill="mean")
    made(folder, augment={"cutout": step})
    assert step.fill.mean == pytest.approx([0.5] * 3, abs=0.05)
