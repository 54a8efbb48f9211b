"""Walks conf/: a new file is tested the moment that it exists."""

import functools
import importlib
import json

import pytest
import torch
from omegaconf import OmegaConf

from mmdl.assembly import build_data, build_task, static_errors
from mmdl.batch import ImageBatch, ImageTextBatch, VQABatch, contract_errors
from mmdl.checking import batch_errors, first_batch, split_errors
from mmdl.cli.app import compose
from mmdl.cli.catalog import catalog, groups
from mmdl.cli.paths import packaged_conf

# Weights and tokenizers from a hub can't be had in tests: these are built with random weights, or bound only.
OFFLINE = {
    "open_clip": ["model.{part}.pretrained=null"],
    "timm": ["model.{part}.pretrained=false", "model.{part}.name=resnet10t", "data.image_size=224"],
}


@pytest.mark.parametrize("group", sorted(set(groups()) - {"hydra", "common"}))
def test_every_config_describes_itself_in_one_line(group):
    for name, line in catalog(group).items():
        assert 10 < len(line) <= 140, f"conf/{group}/{name}.yaml"


@pytest.mark.parametrize("experiment", catalog("experiment"))
def test_every_experiment_binds(experiment):
    cfg = compose("train", [f"+experiment={experiment}"])
    for key in OmegaConf.missing_keys(cfg):  # what only the user knows, such as the folder of own files
        OmegaConf.update(cfg, key, "given")
    assert [str(error) for error in static_errors(cfg)] == []
    header = (packaged_conf() / "experiment" / f"{experiment}.yaml").read_text()
    for fact in ("# command:", "# hardware:", "# expected:"):
        assert fact in header


@pytest.fixture
def fixture_of(tmp_path):
    """Overrides that make a data set read its own fixture."""

    def write(name):
        module = importlib.import_module(f"mmdl.data.{name}")
        return [f"{key}={value}" for key, value in module.write_fixture(tmp_path / name).items()]

    return write


@pytest.mark.parametrize("name", catalog("data"))
def test_every_data_set_passes_on_its_own_fixture(name, fixture_of):
    cfg = compose("train", [f"data={name}", *fixture_of(name)]).copy()
    data = build_data(cfg)
    assert split_errors(data) == []
    assert {"train", "val", "test"} <= data.splits().keys()
    assert contract_errors(first_batch(data), data.produces) == []
    for split in ("train", "val", "test"):
        seen = torch.cat([batch["rows"] for batch in data.loader(split)])
        assert sorted(seen.tolist()) == list(range(int(data.offsets(split)[-1])))


@pytest.mark.parametrize("experiment", catalog("experiment"))
def test_every_experiment_runs_quick(experiment, fixture_of, run_command, tmp_path):
    cfg = compose("train", [f"+experiment={experiment}"])
    data = cfg.data._target_.rsplit(".", 1)[1]
    run_command(
        "train",
        f"+experiment={experiment}",
        "quick=true",
        *fixture_of(data),
        "logger=none",
        f"run.root={tmp_path}",
        "run.id=quick",
    )
    summary = json.loads((tmp_path / "quick" / "summary.json").read_text())
    tested = summary[cfg.monitor.name.replace("val/", "test/")]
    assert tested["n"] > 0
    baselines = [name for name in summary if name.startswith("baseline/")]
    assert baselines, "a figure without a baseline says little"
    for name in baselines:  # baseline/chance/text_to_image/recall@1 stands beside test/text_to_image/recall@1
        beside = "test/" + name.split("/", 2)[2]
        assert summary[name]["n"] == summary[beside]["n"], name


PARTS = [
    (part, name) for part in ("image_tower", "question_tower", "fusion") for name in catalog(f"model/{part}")
]


@pytest.mark.parametrize(("part", "name"), PARTS)
def test_every_part_of_the_vqa_model_steps_on_its_batch(part, name, fixture_of):
    if (part, name) == ("question_tower", "transformers"):
        pytest.skip(
            "its weights and tokenizer come from a hub; tests/unit/models builds it from a local folder"
        )
    overrides = [line.format(part=part) for line in OFFLINE.get(name, [])]
    if (part, name) == ("image_tower", "open_clip"):
        overrides.append("data.image_size=224")
    if (part, name) == ("question_tower", "open_clip"):
        overrides.append("tokenizer@data.tokenizer=open_clip")
    cfg = compose(
        "train",
        [
            "data=shapes_vqa",
            "model=vqa",
            "task=vqa",
            f"model/{part}={name}",
            "data.batch_size=8",
            "data.min_answer_count=1",
            *overrides,
            *fixture_of("shapes_vqa"),
        ],
    ).copy()
    data = build_data(cfg)
    task = build_task(cfg)
    batch = first_batch(data)
    loss = task.losses(batch)["loss"]
    loss.backward()
    assert torch.isfinite(loss)
    learned = [name for name, p in task.model.named_parameters() if p.grad is not None and bool(p.grad.any())]
    assert any(name.startswith(part) for name in learned)


@functools.cache
def consumed():
    """The batch type of every model of conf/."""
    targets = {name: str(compose("train", [f"model={name}"]).model._target_) for name in catalog("model")}
    parts = {name: target.rpartition(".") for name, target in targets.items()}
    return {name: getattr(importlib.import_module(p[0]), p[2]).consumes for name, p in parts.items()}


def consumers(batch_type):
    return [name for name, consumes in consumed().items() if consumes is batch_type]


def steps(cfg):
    """A model takes the first batch, and all of it that learns gets a gradient; returns the task and the batch."""
    data = build_data(cfg)
    task = build_task(cfg)
    batch = first_batch(data)
    assert batch_errors(data, task.model, batch) == []
    loss = task.losses(batch)["loss"]
    loss.backward()
    assert torch.isfinite(loss)
    learning = [p for p in task.model.parameters() if p.requires_grad]
    assert all(p.grad is not None for p in learning)
    held = [id(p) for group in task.model.layer_groups() for p in group.parameters()]
    assert sorted(held) == sorted(id(p) for p in task.model.parameters())
    return task, batch


def test_every_model_is_tested_on_its_batch():
    kinds = (ImageBatch, ImageTextBatch, VQABatch)
    assert sorted(name for kind in kinds for name in consumers(kind)) == sorted(catalog("model"))


@pytest.mark.parametrize("name", consumers(ImageBatch))
def test_every_classifier_steps_on_its_batch(name, fixture_of):
    parts = ["data=mnist", f"model={name}", "task=classification", "data.image_size=32", "data.batch_size=16"]
    steps(compose("train", [*parts, *fixture_of("mnist")]).copy())


@pytest.mark.parametrize("loss", ["infonce", "siglip"])
@pytest.mark.parametrize("name", consumers(ImageTextBatch))
def test_every_contrastive_model_steps_on_its_batch(name, loss, fixture_of):
    parts = [
        "data=shapes_captions",
        f"model={name}",
        "task=contrastive",
        f"task.loss={loss}",
        "data.batch_size=8",
    ]
    bias = ["model.init_scale=10", "model.init_bias=-10"] if loss == "siglip" else []
    task, batch = steps(compose("train", [*parts, *bias, *fixture_of("shapes_captions")]).copy())
    model = task.model.eval()
    with torch.no_grad():
        image, text = model(batch)
        features = {
            "image_features": model.image_features(batch["images"]),
            "text_features": model.text_features(batch["tokens"], batch["token_mask"]),
        }
        cached = {key: value for key, value in batch.items() if key not in ("images", "tokens", "token_mask")}
        assert contract_errors(cached | features, ImageTextBatch) == []
        found = model(cached | features)
        torch.testing.assert_close(found.image, image)
        torch.testing.assert_close(found.text, text)
        torch.testing.assert_close(model.encode_images(batch["images"]), image)
        torch.testing.assert_close(model.encode_texts(batch["tokens"], batch["token_mask"]), text)
    assert image.shape == (8, model.embed_dim)
    towers = {group.name.split(".")[0] for group in model.layer_groups()}
    assert {"image_tower", "text_tower", "logit_scale"} <= towers
