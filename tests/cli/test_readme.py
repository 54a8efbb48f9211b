"""Every command of the README is run, or bound where it needs a network or minutes."""

import json
import re
import shlex
import subprocess
import sys

import pytest
from PIL import Image

from mmdl.cli.app import compose

# What can't be run in a test, and why.
NOT_RUN = {
    "scripts/mmdl": "makes an environment: CI and tests/cli/test_fresh_machine.py run it",
    "scripts/test": "is what runs this",
    "data prepare vqa_v2": "fetches 20 GB: tests/unit/data runs it against a local server",
    "+experiment=vqa_v2": "needs those files: the contract tests run it on a fixture",
}


def commands(repo):
    text = (repo / "README.md").read_text()
    blocks = re.findall(r"```bash\n(.*?)```", text, flags=re.DOTALL)
    return [line.split("  #")[0].strip() for block in blocks for line in block.splitlines() if line.strip()]


def test_the_readme_has_its_commands(repo):
    found = commands(repo)
    assert found[0] == "scripts/mmdl train +experiment=vqa"
    assert found[1] == "scripts/test"
    assert len(found) > 15


def test_every_command_of_the_readme(repo, tmp_path, monkeypatch, capsys):
    from mmdl.__main__ import main

    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    (tmp_path / "images" / "kitchen").mkdir(parents=True)
    for path in ("photo.jpg", "photos/a.jpg", *(f"images/kitchen/{n}.jpg" for n in range(12))):
        Image.new("RGB", (60, 50), (200, 10 * len(path), 30)).save(tmp_path / path)
    rows = [
        {"image": f"kitchen/{n}.jpg", "question": "What color is it?", "answer": ("red", "blue")[n % 2]}
        for n in range(12)
    ]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[:10]))
    (tmp_path / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[10:]))
    question = {"image": "photo.jpg", "question": "Is it red?"}
    (tmp_path / "questions.jsonl").write_text(json.dumps(question) + "\n")
    for command in commands(repo):
        if any(part in command for part in NOT_RUN):
            words = shlex.split(command)[3:]
            if words[:1] == ["train"]:
                compose("train", words[1:])
            continue
        words = shlex.split(command.replace("+experiment=vqa_json", "+experiment=vqa_json quick=true"))
        assert words[:3] == ["python", "-m", "mmdl"], command
        monkeypatch.setattr(sys, "argv", ["mmdl", *words[3:]])
        assert main() == 0, (command, capsys.readouterr().err)
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
