"""What a run folder holds of its items: scored predictions, baselines, images, the probe set; the same in every run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mmdl.review.images import item_image_notes, item_images
from mmdl.review.items import list_items, read_items
from mmdl.review.model import Items
from mmdl.runs.item_records import image_key

FEW = ("+media.items=12", "+media.mistakes=4")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, run_command: Callable[..., Any]) -> Path:
    """Folder of three quick runs: `digits`, `clip`, and `other`, a VQA run of another seed."""
    root = tmp_path_factory.mktemp("runs")
    common = ("quick=true", "logger=none", f"run.root={root}")
    few = [word.removeprefix("+") for word in FEW]
    run_command("train", "+experiment=mnist", "data=digits", "run.id=digits", *common, *few)
    run_command("train", "+experiment=clip", "run.id=clip", *common)
    run_command("train", "+experiment=vqa", "run.id=other", "seed=3", "media.items=5", *common)
    return root


def items_of(run: Path, name: str) -> Items:
    """Scored items without a gap."""
    found = read_items(run, name)
    assert isinstance(found, Items), found
    assert found.gaps == []
    return found


def figure(run: Path, name: str) -> Any:
    """A value of the summary."""
    return json.loads((run / "summary.json").read_text())[name]["value"]


def facts(run: Path, name: str) -> Any:
    """What lies beside the predictions."""
    return json.loads((run / "predictions" / f"{name}.json").read_text())


def test_scores_of_questions_average_to_the_summary_and_so_do_those_of_the_baselines(
    trained: SimpleNamespace,
) -> None:
    run = trained.path
    assert list_items(run) == ["test", "test_baseline_most_common", "test_baseline_question_only"]
    own = items_of(run, "test")
    assert own.scores.mean() == pytest.approx(figure(run, "test/vqa_accuracy"), abs=1e-12)
    assert own.clusters is not None
    assert len(set(own.clusters)) == 16
    for name in ("most_common", "question_only"):
        found = items_of(run, f"test_baseline_{name}")
        assert found.scores.mean() == pytest.approx(figure(run, f"baseline/{name}/vqa_accuracy"), abs=1e-12)
        assert (found.ids, found.references) == (own.ids, own.references)
        assert found.records[0].keys() == own.records[0].keys()
        beside = facts(run, f"test_baseline_{name}")
        assert beside["baseline"] == name
        assert beside["items_sha256"] == facts(run, "test")["items_sha256"]
        assert len(found.records[0]["top"]) == (1 if name == "most_common" else 5)
        chances = [answer["probability"] for answer in found.records[0]["top"]]
        assert chances == sorted(chances, reverse=True)


def test_scores_of_a_classifier_average_to_the_summary(runs: Path) -> None:
    run = runs / "digits"
    own, baseline = items_of(run, "test"), items_of(run, "test_baseline_most_common")
    assert own.scores.mean() == pytest.approx(figure(run, "test/accuracy"), abs=1e-12)
    assert baseline.scores.mean() == pytest.approx(figure(run, "baseline/most_common/accuracy"), abs=1e-12)
    assert own.ids == baseline.ids
    assert len({record["prediction"] for record in baseline.records}) == 1


@pytest.mark.parametrize("direction", ["text_to_image", "image_to_text"])
def test_hits_of_a_retrieval_average_to_the_recall(runs: Path, direction: str) -> None:
    run = runs / "clip"
    own = items_of(run, f"test_{direction}")
    assert own.metric == f"{direction}/recall@1"
    assert own.scores.mean() == pytest.approx(figure(run, f"test/{own.metric}"), abs=1e-12)
    ranks = np.array([record["rank"] for record in own.records])
    assert (ranks <= 5).mean() == pytest.approx(figure(run, f"test/{direction}/recall@5"), abs=1e-12)
    assert np.median(ranks) == pytest.approx(figure(run, f"test/{direction}/median_rank"), abs=1e-12)
    for record in own.records:
        similarities = [item["similarity"] for item in record["top"]]
        assert similarities == sorted(similarities, reverse=True)
        assert any(item["right"] for item in record["top"]) == (record["rank"] <= 5)


def test_images_of_the_records_lie_in_the_folder(trained: SimpleNamespace, runs: Path) -> None:
    for run, names in (
        (trained.path, ["test"]),
        (runs / "clip", ["test_text_to_image", "test_image_to_text"]),
    ):
        for name in names:
            images = item_images(run, name)
            assert {image_key(record) for record in items_of(run, name).records} == images.keys()
            with Image.open(next(iter(images.values()))) as image:
                assert image.size == (64, 64)
    digits = item_images(runs / "digits", "test")
    own = items_of(runs / "digits", "test")
    wrong = [record for record in own.records if not record["correct"]]
    worst = sorted(wrong, key=lambda record: -record["top"][0]["probability"])
    spread = [own.ids[row] for row in np.linspace(0, len(own.ids) - 1, 12).astype(int)]
    assert list(digits) == spread + [r["id"] for r in worst[: len(digits) - 12] if r["id"] not in spread]
    assert 12 < len(digits) <= 16
    with Image.open(digits[spread[0]]) as image:
        assert (image.mode, image.format) == ("L", "PNG")
    assert item_image_notes(runs / "digits", "test")[0].startswith(
        f"{len(own.ids) - len(digits)} images are not"
    )


def test_runs_of_other_seeds_have_the_same_fixed_images_and_probe_items(
    trained: SimpleNamespace, runs: Path
) -> None:
    first, second = (
        json.loads((run / "media/items/index.json").read_text()) for run in (trained.path, runs / "other")
    )
    assert first["caps"]["items"] == 256
    assert second["caps"]["items"] == 5
    every, few = first["images"]["test"], second["images"]["test"]
    assert len(every) == 16
    assert list(few)[:5] == [list(every)[row] for row in np.linspace(0, 15, 5).astype(int)]
    assert all(every[key] == entry for key, entry in few.items())
    probes = [
        json.loads((run / "media/probe/index.json").read_text()) for run in (trained.path, runs / "other")
    ]
    assert probes[0]["ids"] == probes[1]["ids"]
    assert len(probes[0]["ids"]) == 32
    assert probes[0]["images"] == probes[1]["images"]


def test_the_probe_set_has_the_records_of_each_validation(trained: SimpleNamespace, runs: Path) -> None:
    folder = trained.path / "media" / "probe"
    rows = [json.loads(line) for line in (trained.path / "metrics.jsonl").read_text().splitlines()]
    validated = [row["step"] for row in rows if "val/vqa_accuracy" in row]
    index = json.loads((folder / "index.json").read_text())
    assert [entry["epoch"] for entry in index["steps"]] == [0, 1]
    assert len(validated) == len(index["steps"])
    for entry in index["steps"]:
        records = [json.loads(line) for line in (folder / entry["file"]).read_text().splitlines()]
        assert [str(record["question_id"]) for record in records] == index["ids"]
        assert {"prediction", "score", "top", "answers"} <= records[0].keys()
    assert {record["image"] for record in records} <= item_images(trained.path, "val").keys()
    both = next((runs / "clip" / "media" / "probe").glob("step-*.jsonl")).read_text().splitlines()
    directions = [json.loads(line)["direction"] for line in both]
    assert directions == ["text_to_image"] * 16 + ["image_to_text"] * 16


def test_eval_keeps_images_too_here_or_elsewhere(
    runs: Path, run_command: Callable[..., Any], tmp_path: Path
) -> None:
    run = runs / "digits"
    before = json.loads((run / "media/items/index.json").read_text())
    words = (f"run={run}", "+media.items=3", "+media.mistakes=0")
    run_command("eval", *words, "split=val", f"output={tmp_path}")
    assert json.loads((run / "media/items/index.json").read_text()) == before
    assert len(list((tmp_path / "media" / "items" / "val").iterdir())) == 3
    assert (tmp_path / "val.json").is_file()
    run_command("eval", *words, "split=val")
    after = json.loads((run / "media/items/index.json").read_text())
    assert after["images"]["test"] == before["images"]["test"]
    assert len(after["images"]["val"]) == 3
    assert "val" in list_items(run)
    assert items_of(run, "val").split == "val"
