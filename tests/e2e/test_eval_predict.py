import json
import shutil

import pytest
import torch
from PIL import Image

from mmdl.data.shapes.split import default_name
from mmdl.errors import UserError
from mmdl.runs.checkpoint_io import AtomicCheckpointIO, newest_valid, read_checkpoint


def test_eval_reproduces_the_test_figure_exactly(trained, run_command, tmp_path, capsys):
    value = run_command("eval", "run=one", f"root={trained.root}", f"output={tmp_path}")
    summary = json.loads((trained.path / "summary.json").read_text())
    assert value == summary["test/vqa_accuracy"]["value"]
    shown = capsys.readouterr().out
    assert "baseline/question_only/vqa_accuracy" in shown
    assert "official rule" in shown
    assert (tmp_path / "test.jsonl").read_text() == (trained.path / "predictions" / "test.jsonl").read_text()
    results = json.loads((tmp_path / "test_results.json").read_text())
    assert len(results) == 144
    assert all(
        set(row) == {"question_id", "answer"} and isinstance(row["question_id"], int) for row in results
    )


def test_eval_on_another_split(trained, run_command, tmp_path):
    run_command("eval", "run=latest", f"root={trained.root}", "split=val", f"output={tmp_path}")
    assert len((tmp_path / "val.jsonl").read_text().splitlines()) == 144
    with pytest.raises(UserError, match="split=tset") as caught:
        run_command("eval", "run=one", f"root={trained.root}", "split=tset")
    assert caught.value.valid.startswith("test")


@pytest.fixture
def own(tmp_path):
    """Two images of one's own, with questions, one of them with a single reference."""
    for name, colour in (("a", "red"), ("b", "blue")):
        Image.new("RGB", (80, 60), colour).save(tmp_path / f"{name}.png")
    rows = [
        {"image": "a.png", "question": "is there a red circle?", "answer": "yes"},
        {"image": "a.png", "question": "how many circles are there?", "answers": ["1"] * 10},
        {"image": "b.png", "question": "is there a zebra?", "answer": "no"},
    ]
    (tmp_path / "own.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def test_eval_on_own_data_keeps_the_runs_answers(trained, run_command, own, capsys):
    run_command(
        "eval",
        "run=one",
        f"root={trained.root}",
        "data=vqa_json",
        f"data.test={own}/own.jsonl",
        f"output={own}/out",
    )
    shown = capsys.readouterr().out
    assert "n = 3" in shown
    assert "few rule" in shown
    rows = [json.loads(line) for line in (own / "out" / "vqa_json-test.jsonl").read_text().splitlines()]
    answers = json.loads((trained.path / "answers.json").read_text())["answers"]
    assert {row["prediction"] for row in rows} <= set(answers)


def test_predict_prints_the_top_answers(trained, run_command, own, capsys):
    run_command(
        "predict", "run=one", f"root={trained.root}", f"image={own}/a.png", "question=is there a circle?"
    )
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert len(lines) == 5
    chances = [float(line[-1]) for line in lines]
    assert chances == sorted(chances, reverse=True)


def test_predict_agrees_with_training(trained, run_command, data_home, capsys):
    """The same image and question as in the test split give the same answer and probability."""
    rows = [
        json.loads(line) for line in (trained.path / "predictions" / "test.jsonl").read_text().splitlines()
    ]
    image = data_home / "shapes" / default_name(48, 16, 16, 64, 0) / "images" / "test" / rows[0]["image"]
    run_command(
        "predict",
        "run=one",
        f"root={trained.root}",
        f"image={image}",
        f"question='{rows[0]['question']}'",
        "top_k=1",
    )
    answer, chance = capsys.readouterr().out.rsplit(maxsplit=1)
    assert answer.strip() == rows[0]["prediction"]
    assert float(chance) == pytest.approx(rows[0]["top"][0]["probability"], abs=2e-2)


def test_predict_takes_a_folder_or_a_file_of_questions(trained, run_command, own):
    run_command(
        "predict",
        "run=one",
        f"root={trained.root}",
        f"image={own}",
        "question=how many?",
        f"output={own}/folder.jsonl",
    )
    assert len((own / "folder.jsonl").read_text().splitlines()) == 2
    run_command(
        "predict", "run=one", f"root={trained.root}", f"input={own}/own.jsonl", f"output={own}/file.jsonl"
    )
    rows = [json.loads(line) for line in (own / "file.jsonl").read_text().splitlines()]
    assert [row["question"] for row in rows][2] == "is there a zebra?"
    assert all({"question_id", "image", "answer", "top"} <= row.keys() for row in rows)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["image=nothing.png", "question=x"], "there is no image nothing.png"),
        (["question=x"], "image not given"),
        (["image=a.png"], "question not given"),
        (["image=a.png", "question=''"], "question= is empty"),
        (["input=a.jsonl", "image=b.png"], "input= was given with"),
    ],
)
def test_predict_explains_what_is_missing(trained, run_command, own, monkeypatch, overrides, message):
    monkeypatch.chdir(own)
    with pytest.raises(UserError, match=message):
        run_command("predict", "run=one", f"root={trained.root}", *overrides)


def test_a_missing_checkpoint_is_named(trained, run_command):
    with pytest.raises(UserError, match=r"no checkpoint 'nothing\.ckpt'") as caught:
        run_command("eval", "run=one", f"root={trained.root}", "weights=nothing.ckpt")
    assert "best" in caught.value.valid


def test_a_run_without_checkpoints_says_how_to_get_one(trained, run_command, tmp_path):
    shutil.copytree(trained.path, tmp_path / "bare")
    shutil.rmtree(tmp_path / "bare" / "checkpoints")
    with pytest.raises(UserError, match="no valid checkpoint") as caught:
        run_command("eval", "run=bare", f"root={tmp_path}")
    assert "resume=bare" in caught.value.fix


def test_a_checkpoint_of_another_model_is_refused(trained, run_command, tmp_path):
    shutil.copytree(trained.path, tmp_path / "other")
    path = newest_valid(tmp_path / "other" / "checkpoints")
    checkpoint = read_checkpoint(path)
    weights = checkpoint["state_dict"]
    name = next(iter(weights))
    weights["model.else"] = weights.pop(name)
    foreign = tmp_path / "foreign.ckpt"
    AtomicCheckpointIO().save_checkpoint(checkpoint, foreign)
    with pytest.raises(UserError, match="checkpoint of another model") as caught:
        run_command("eval", "run=other", f"root={tmp_path}", f"weights={foreign}")
    assert name in str(caught.value)
    assert "model.else" in str(caught.value)


def test_an_altered_answer_list_is_refused(trained, run_command, tmp_path):
    shutil.copytree(trained.path, tmp_path / "other")
    checkpoint = read_checkpoint(newest_valid(tmp_path / "other" / "checkpoints"))
    answers = checkpoint["mmdl"]["vocabularies"]["answers"]
    answers[0], answers[1] = answers[1], answers[0]
    path = tmp_path / "swapped.ckpt"
    AtomicCheckpointIO().save_checkpoint(checkpoint, path)
    with pytest.raises(UserError, match="do not match their hash"):
        run_command("eval", "run=other", f"root={tmp_path}", f"weights={path}")


def test_the_safetensors_file_is_the_best_model(trained):
    from safetensors.torch import load_file

    best = load_file(trained.path / "checkpoints" / "best.safetensors")
    [path] = sorted((trained.path / "checkpoints").glob("best-*.ckpt"))[-1:]
    weights = torch.load(path, weights_only=True)["state_dict"]
    assert all(torch.equal(best[name.removeprefix("model.")], value) for name, value in weights.items())


@pytest.mark.parametrize("question", ["what's this, a cat?", 'is it "red" or [blue]?', "how many = 2 {x}?"])
def test_a_question_may_hold_any_text(trained, own, capsys, monkeypatch, question):
    import sys

    from mmdl.__main__ import main

    words = [
        "mmdl",
        "predict",
        "run=one",
        f"root={trained.root}",
        f"image={own}/a.png",
        f"question={question}",
    ]
    monkeypatch.setattr(sys, "argv", [*words, f"output={own}/out, 1.jsonl"])
    assert main() == 0, capsys.readouterr().err
    assert json.loads((own / "out, 1.jsonl").read_text())["question"] == question
