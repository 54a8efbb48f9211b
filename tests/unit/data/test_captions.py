"""The data module of captioned images: what is counted and said, and that an image is encoded once."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from mmdl.checking import augmentation_errors, first_batch
from mmdl.data.augment.color_jitter import ColorJitter
from mmdl.data.augment.crop import Crop
from mmdl.data.augment.cutmix import Cutmix
from mmdl.data.augment.cutout import Cutout
from mmdl.data.augment.flip import Flip
from mmdl.data.augment.mixup import Mixup
from mmdl.data.image_text import image_text
from mmdl.data.tokenizer.word import WordTokenizer
from mmdl.errors import UserError, UserErrors


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten images, two captions each."""
    rows = []
    for number in range(10):
        Image.new("RGB", (20, 20), (20 * number, 0, 0)).save(tmp_path / f"{number}.png")
        rows.append(
            {"image": f"{number}.png", "captions": [f"number {number}", f"the one on the left of {number}"]}
        )
    write(tmp_path, rows)
    return tmp_path


def write(folder: Path, rows: list[Any]) -> None:
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def rows_of(folder: Path) -> list[Any]:
    return [json.loads(line) for line in (folder / "train.jsonl").read_text().splitlines()]


def module(folder: Path, **options: Any) -> Any:
    defaults: dict[str, Any] = {"tokenizer": WordTokenizer(max_length=6), "image_size": 8, "val_share": 0.2}
    data = image_text(str(folder / "train.jsonl"), **(defaults | options))
    data.prepare_data()
    data.setup()
    return data


def test_captions_that_are_cut_are_counted_by_split(folder: Path) -> None:
    data = module(folder)
    assert data.marks()["truncated_captions"] == {"train": 8, "val": 2}
    assert any("8 of 16 train captions are longer than 6 tokens" in note for note in data.notes("train"))
    expected = "truncated    captions longer than 6 tokens: 8 of 16 in train, 2 of 4 in val"
    assert expected in data.cautions()
    assert data.dataset("train").ids.shape[1] == data.context_length == 6
    data = module(folder, tokenizer=WordTokenizer(max_length=7))
    assert data.marks()["truncated_captions"] == {"train": 0, "val": 0}
    assert not any("longer" in line for line in [*data.cautions(), *data.notes("train")])


def test_equal_files_under_two_names_are_one_picture(folder: Path) -> None:
    shutil.copy(folder / "3.png", folder / "copy.png")
    write(folder, [*rows_of(folder), {"image": "copy.png", "caption": "a copy"}])
    data = module(folder, val=str(folder / "train.jsonl"))
    index, dataset = data.indexes["train"], data.dataset("train")
    one, other = (index.image_ids.index(name) for name in ("3.png", "copy.png"))
    ids = dataset[np.arange(11)]["image_ids"].tolist()
    assert ids[one] == ids[other]
    assert len(set(ids)) == 10
    assert data.marks()["equal_images"]["train"] == 1
    assert "1 train images have the bytes of another one, and count as the same picture" in data.notes(
        "train"
    )
    assert any("lie in more than one split" in note for note in data.notes("train"))
    assert data.marks()["files_in_several_splits"] == 10


def test_what_is_there_twice_is_counted(folder: Path) -> None:
    write(folder, [*rows_of(folder), rows_of(folder)[4]])
    data = module(folder)
    assert data.marks()["joined_duplicates"] == {"train": 2, "val": 0}
    assert any("2 train entries are there twice" in line for line in data.cautions())


def test_undecodable_images_of_all_splits_are_named_at_once(folder: Path) -> None:
    (folder / "2.png").write_bytes(b"hello")
    (folder / "test.jsonl").write_text(
        '{"image": "x.png", "caption": "x"}\n{"image": "1.png", "caption": "y"}\n'
    )
    (folder / "x.png").write_bytes(b"")
    with pytest.raises(UserErrors) as caught:
        module(folder, test=str(folder / "test.jsonl"))
    assert "2.png" in str(caught.value)
    assert "x.png" in str(caught.value)
    for cache in (True, False):
        data = module(folder, test=str(folder / "test.jsonl"), on_bad_sample="skip", cache_pixels=cache)
        assert data.skipped == {"not an image": 1, "empty file": 1}
        assert len(data.indexes["test"]) == 1
        batch = data.dataset("test")[np.array([0])]
        assert batch["images"][0, 0, 0, 0] == 20, "the pixels are those of the image that is left"
        assert len(data.dataset("train").pixels) == len(data.indexes["train"])
        assert data.dataset("train").pixels.key


def test_wrong_files_of_all_splits_are_named_at_once(folder: Path) -> None:
    (folder / "test.jsonl").write_text('{"image": "1.png", "caption": ""}\n')
    write(folder, [*rows_of(folder), {"image": "0.png", "caption": 3}])
    with pytest.raises(UserErrors) as caught:
        module(folder, test=str(folder / "test.jsonl"))
    assert len(caught.value.errors) == 2, "train and val come from one file, which is named once"
    assert "test.jsonl" in str(caught.value)
    assert "line 11: wrong type" in str(caught.value)


@pytest.mark.parametrize("step", [Mixup(), Cutmix()])
def test_steps_that_mix_classes_are_refused(step: Any, folder: Path) -> None:
    name = type(step).__name__.lower()
    with pytest.raises(UserError, match=f"data.augment.{name} mixes the classes") as caught:
        module(folder, augment={"flip": Flip(), name: step})
    assert f"leave {name} out" in caught.value.fix


def test_a_flip_says_how_many_captions_it_falsifies(folder: Path) -> None:
    said = [line for line in module(folder, augment={"flip": Flip()}).cautions() if "mirrored" in line]
    assert said == ["mirrored     data.augment.flip: 8 of 16 train captions say left or right"]
    assert not any("mirrored" in line for line in module(folder).cautions())


def test_augmentation_of_single_images_passes_the_check(folder: Path) -> None:
    steps = {"crop": Crop(), "jitter": ColorJitter(), "cutout": Cutout(size=3, fill="mean")}
    data = module(folder, augment=steps)
    assert augmentation_errors(data, 8, first_batch(data)) == []
    mean = data.dataset("train").pixels[np.arange(8)].float().mean((0, 2, 3)) / 255
    assert steps["cutout"].fill.mean == pytest.approx(mean.tolist())


@pytest.mark.parametrize(
    "key", ["captions_per_image", "eval_captions", "batch_size", "eval_batch_size", "image_size"]
)
def test_wrong_numbers(key: str, folder: Path) -> None:
    with pytest.raises(UserError, match=f"data.{key}=0"):
        module(folder, **{key: 0})


def test_five_captions_and_the_image_is_encoded_once(folder: Path) -> None:
    from mmdl.models.clip_towers import CLIPTowers
    from mmdl.models.image_tower.small_cnn import SmallCNN
    from mmdl.models.question_tower.gru import GRU

    write(
        folder,
        [{"image": f"{n}.png", "captions": [f"caption {k} of {n}" for k in range(6)]} for n in range(10)],
    )
    data = module(folder, captions_per_image=5, batch_size=4)
    model = CLIPTowers(SmallCNN(channels=[8], depth=1), GRU(data.vocab_size, 8, 8), embed_dim=8)
    images, texts = [], []
    model.image_tower.register_forward_hook(lambda m, given, out: images.append(given[0]))  # type: ignore[attr-defined]
    model.text_tower.register_forward_hook(lambda m, given, out: texts.append(len(given[0])))  # type: ignore[attr-defined]
    for batch in data.loader("train"):
        embeddings = model(batch)
        assert embeddings.image.shape[0] * 5 == embeddings.text.shape[0]
    assert [len(given) for given in images] == [4, 4], "one call a batch, one row an image"
    assert texts == [20, 20]
    seen = torch.cat(images)[:, 0, 0, 0].tolist()
    assert len(set(seen)) == len(seen) == len(data.indexes["train"])


def test_evaluation_of_the_training_split_sees_every_caption_once(folder: Path) -> None:
    from types import SimpleNamespace

    data = module(folder, captions_per_image=1, batch_size=3, eval_batch_size=4)
    for world in (1, 2):
        seen = []
        for rank in range(world):
            trainer: Any = SimpleNamespace(global_rank=rank, world_size=world)
            seen += [batch["caption_rows"].tolist() for batch in data.attached(trainer, "train")]
        assert sorted(row for rows in seen for row in rows) == list(range(16))


def test_another_runs_tokenizer_is_taken_over(folder: Path) -> None:
    first = module(folder)
    state = first.vocabularies()
    write(folder, [{"image": f"{n}.png", "caption": f"other words {n}"} for n in range(10)])
    second = image_text(str(folder / "train.jsonl"), tokenizer=WordTokenizer(max_length=6), image_size=8)
    second.load_vocabularies(state)
    second.setup()
    assert second.vocab_size == first.vocab_size
    with pytest.raises(UserError, match="does not match its hash"):
        module(folder).load_vocabularies(state | {"tokenizer_sha256": "0"})
    with pytest.raises(UserError, match="no run of images and captions"):
        module(folder).load_vocabularies({"answers": []})
