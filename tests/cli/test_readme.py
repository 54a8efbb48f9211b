"""Every command of the README is run, or bound where it needs a network or minutes."""

import importlib
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from mmdl.cli.app import compose

# What can't be run in a test, and why.
NOT_RUN = {
    "scripts/mmdl": "makes an environment: CI and tests/cli/test_fresh_machine.py run it",
    "scripts/test": "is what runs this",
    "data prepare vqa_v2": "fetches 20 GB: tests/unit/data runs it against a local server",
    "+experiment=vqa_v2": "needs those files: the contract tests run it on a fixture",
    "data prepare coco": "fetches 13 GB and more: tests/unit/data runs it against a local server",
    "+experiment=clip_coco": "needs those files: the contract tests run it on a fixture",
    "+experiment=clip_finetune": "likewise",
    "torchrun ": "starts processes of its own: tests/faults/test_torchrun.py runs it",
    "srun ": "needs a Slurm: tests/slurm runs it",
    "review --serve": "runs until it is ended: tests/e2e/test_served_list.py runs it",
    "wandb leet runs": "takes the whole terminal; wandb leet inspect, which is run, reads the same file",
    "benchmarks/": "minutes, and their figures are of a quiet machine: tests/cli/test_benchmarks.py starts them",
}


PHOTOS = [f"photos/{name}/{number}.jpg" for name in ("cat", "dog") for number in range(20)]

QUICK = (
    "mnist",
    "mnist_best",
    "cifar10",
    "cats_dogs",
    "descent",
    "overfit",
    "vqa_json",
    "clip",
    "image_text",
)
"""Experiments that are run with quick=true, and on their own fixture where the real data may be absent."""


def made_quick(command, fixtures):
    """A command of the README in seconds, with data where it needs some."""
    name = re.search(r"\+experiment=(\w+)", command)
    if name is None or name[1] not in QUICK or "quick=true" in command:
        return command
    data = re.search(r" data=(\w+)", command)
    needed = fixtures.get(data[1] if data else name[1], "")
    return f"{command} quick=true logger=none {needed}"


PARTS = {
    "classification": ("The course, seen and run", "Image classification"),
    "contrastive": ("Images and text",),
    "review": ("Review runs",),
}
"""Sections whose commands are run by a process of their own: each part begins with a training of its own."""


def commands(repo, part=None):
    """The commands of all sections, or of one part of them, in their order."""
    found = []
    for section in re.split(r"^## ", (repo / "README.md").read_text(), flags=re.MULTILINE):
        which = next((name for name, titles in PARTS.items() if section.startswith(titles)), "other")
        if part in (None, which):
            for block in re.findall(r"```bash\n(.*?)```", section, flags=re.DOTALL):
                found += [line.split("  #")[0].strip() for line in block.splitlines() if line.strip()]
    return found


def test_the_readme_has_its_commands(repo):
    found = commands(repo)
    assert found[0] == "scripts/mmdl train +experiment=vqa"
    assert found[1] == "scripts/test"
    assert len(found) > 15


@pytest.mark.parametrize("part", [*PARTS, "other"])
def test_every_command_of_the_readme(part, repo, tmp_path, monkeypatch, capsys):
    from mmdl.__main__ import main

    monkeypatch.chdir(tmp_path)
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
    (tmp_path / "images" / "kitchen").mkdir(parents=True)
    for path in ("photo.jpg", *PHOTOS, *(f"images/kitchen/{n}.jpg" for n in range(12))):
        Image.new("RGB", (60, 50), (200, 10 * len(path), 30)).save(tmp_path / path)
    rows = [
        {"image": f"kitchen/{n}.jpg", "question": "What color is it?", "answer": ("red", "blue")[n % 2]}
        for n in range(12)
    ]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[:10]))
    (tmp_path / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[10:]))
    question = {"image": "photo.jpg", "question": "Is it red?"}
    (tmp_path / "questions.jsonl").write_text(json.dumps(question) + "\n")
    captioned = [
        {"image": f"kitchen/{n}.jpg", "captions": [f"Picture {n}.", "A kitchen."]} for n in range(12)
    ]
    (tmp_path / "captions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in captioned))
    fixtures = {}
    for name, data in (("mnist",) * 2, ("mnist_best", "mnist"), ("cifar10",) * 2, ("fashion_mnist",) * 2):
        module = importlib.import_module(f"mmdl.data.{data}")
        keys = module.write_fixture(tmp_path / "fixtures" / name)
        fixtures[name] = " ".join(f"{key}={value}" for key, value in keys.items())
    for command in commands(repo, part):
        if any(words in command for words in NOT_RUN):
            _, _, words = command.partition("mmdl ")
            if words.startswith("train"):
                compose("train", shlex.split(words)[1:])
            continue
        words = shlex.split(made_quick(command, fixtures))
        if words[1].startswith("scripts/"):
            subprocess.run([sys.executable, str(repo / words[1]), *words[2:]], check=True)
            continue
        if words[0] == "wandb":
            subprocess.run([str(Path(sys.executable).with_name("wandb")), *words[1:]], check=True)
            continue
        assert words[:3] == ["python", "-m", "mmdl"], command
        if any(
            word.startswith("trainer.devices=") for word in words
        ):  # starts itself again for the other ranks
            subprocess.run([sys.executable, *words[1:]], check=True)
            continue
        monkeypatch.setattr(sys, "argv", ["mmdl", *words[3:]])
        assert main() == 0, (command, capsys.readouterr().err)
    if part == "other":
        assert len(json.loads((tmp_path / "answers.jsonl").read_text().splitlines()[0])["top"]) > 1


def test_help_lists_verbs_experiments_models_and_data(repo):
    done = subprocess.run(
        [sys.executable, "-m", "mmdl", "--help"], capture_output=True, text=True, check=True
    )
    for name in ("train", "check", "predict", "vqa_v2", "shapes_vqa", "vqa"):
        assert re.search(rf"^  {name} ", done.stdout, flags=re.MULTILINE), name


@pytest.mark.parametrize("row", ["image_tower", "question_tower", "fusion"])
def test_the_table_of_choices_is_complete(repo, row):
    from mmdl.cli.catalog import catalog

    line = re.search(
        rf"^\| `model/{row}=` \|(.*)$", (repo / "README.md").read_text(), flags=re.MULTILINE
    ).group(1)
    assert set(re.findall(r"`(\w+)`", line)) == set(catalog(f"model/{row}"))
