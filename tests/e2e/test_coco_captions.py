"""Real COCO photographs and captions: small towers learn 64 of them by heart."""

import json

import pytest


@pytest.fixture(scope="module")
def split_file(real_data, tmp_path_factory):
    """The photographs of the sample in Karpathy's format: 64 to train on, the others for validation and test."""
    folder, images = real_data / "coco", []
    for name in ("train2014", "val2014"):
        document = json.loads((folder / "annotations" / f"captions_{name}.json").read_text())
        for entry in document["images"]:
            own = [a for a in document["annotations"] if a["image_id"] == entry["id"]]
            images.append(
                {
                    "filepath": name,
                    "filename": entry["file_name"],
                    "cocoid": entry["id"],
                    "split": "train" if len(images) < 64 else "val" if len(images) < 80 else "test",
                    "sentences": [{"raw": a["caption"], "sentid": a["id"]} for a in own],
                }
            )
    file = tmp_path_factory.mktemp("karpathy") / "dataset_coco.json"
    file.write_text(json.dumps({"dataset": "coco", "images": images}))
    return file


def test_small_towers_overfit_64_images(real_data, split_file, tmp_path, run_command, capsys):
    run_command(
        "train",
        "+experiment=clip_coco",
        f"data.root={real_data / 'coco'}",
        f"data.karpathy={split_file}",
        "data.image_size=48",
        "data.batch_size=64",
        "data.captions_per_image=null",
        "augment@data.augment=[]",
        "evaluator.retrieval.splits=[train,val,test]",
        "schedule=constant",
        "optimizer.lr=3e-3",
        "model.image_tower.channels=[32,64]",
        "trainer.max_epochs=45",
        "trainer.check_val_every_n_epoch=45",
        "trainer.accelerator=cpu",
        "logger=none",
        f"run.root={tmp_path}",
        "run.id=x",
    )
    assert "train 64 images, val 16 images, test 82 images" in capsys.readouterr().err
    run_command("eval", f"root={tmp_path}", "run=x", "split=train", "weights=last")
    figures = json.loads((tmp_path / "x" / "evaluation" / "train" / "figures.json").read_text())
    for direction, count in (("text_to_image", 320), ("image_to_text", 64)):
        recall = figures[f"train/{direction}/recall@1"]
        assert recall["n"] == count, "every caption of every image"
        assert recall["value"] >= 0.95
        assert figures[f"baseline/chance/{direction}/recall@1"]["value"] == pytest.approx(1 / 64)
    unseen = json.loads((tmp_path / "x" / "summary.json").read_text())["test/text_to_image/recall@1"]["value"]
    assert unseen < 0.5, "learnt by heart"
