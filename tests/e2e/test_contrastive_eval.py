"""`mmdl eval` of a contrastive run: the figures of the end of its training, other splits, data and evaluators."""

import json

import pytest
from PIL import Image

from mmdl.errors import UserError


@pytest.fixture(scope="module")
def run(run_command, tmp_path_factory):
    """A quick run on small embedded shapes; its folder."""
    root = tmp_path_factory.mktemp("runs")
    run_command("train", "+experiment=clip", "quick=true", "logger=none", f"run.root={root}", "run.id=clip")
    return root / "clip"


def _eval(run, run_command, output, *words):
    run_command("eval", f"run={run}", f"output={output}", *words)
    [figures] = output.rglob("figures.json")
    return json.loads(figures.read_text())


def test_eval_gives_the_figures_of_the_end_of_the_training(run, run_command, tmp_path, capsys):
    summary = json.loads((run / "summary.json").read_text())
    expected = {name: figure for name, figure in summary.items() if name.startswith(("test/", "baseline/"))}
    assert _eval(run, run_command, tmp_path) == expected
    for direction in ("text_to_image", "image_to_text"):
        assert {f"test/{direction}/recall@{k}" for k in (1, 5, 10)} <= expected.keys()
    for name in ("shape", "colour"):
        assert expected[f"test/zero_shot/{name}/accuracy"]["n"] == 16
        assert expected[f"test/zero_shot/{name}/accuracy"]["ci95"]
    shown = capsys.readouterr().out
    assert "test/text_to_image/recall@10 " in shown
    assert "test/zero_shot/shape/accuracy " in shown
    assert "recall@k is the hit rate" in shown
    ours = {path.name for path in (tmp_path / "evaluation" / "test").iterdir()} - {"figures.json"}
    assert {"zero_shot_shape.png", "zero_shot_colour_confusion.csv", "zero_shot_colour_per_class.csv"} <= ours
    assert ours <= {path.name for path in (run / "evaluation" / "test").iterdir()}


def test_eval_on_validation(run, run_command, tmp_path):
    figures = _eval(run, run_command, tmp_path, "split=val")
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    logged = {name: value for row in rows for name, value in row.items() if name.startswith("val/")}
    for name in ("val/text_to_image/recall@1", "val/image_to_text/recall@5", "val/zero_shot/colour/accuracy"):
        assert figures[name]["value"] == pytest.approx(logged[name], abs=1e-7), name


def test_eval_on_own_images_and_captions(run, run_command, tmp_path, capsys):
    lines = []
    for number, colour in enumerate(("red", "blue", "green")):
        Image.new("RGB", (90, 70), colour).save(tmp_path / f"{number}.png")
        captions = [f"A picture of a {colour} square.", f"Every shape is {colour}."][: 1 + number % 2]
        lines.append(json.dumps({"image": f"{number}.png", "captions": captions}))
    (tmp_path / "own.jsonl").write_text("\n".join(lines))
    own = ("data=image_text", f"data.test={tmp_path}/own.jsonl", f"data.train={tmp_path}/own.jsonl")
    figures = _eval(run, run_command, tmp_path / "out", *own)
    assert figures["test/image_to_text/recall@1"]["n"] == 3
    assert figures["test/text_to_image/recall@1"]["n"] == 4
    assert figures["test/zero_shot/shape/accuracy"]["n"] == 16, "with the tokenizer of the run"
    assert "among 3 images and 4 captions" in capsys.readouterr().out


def test_eval_with_other_evaluators_on_other_images(run, run_command, tmp_path, capsys):
    sets = [
        f"+data@evaluator.{name}.sets.digits.data=digits" for name in ("linear_probe", "knn", "zero_shot")
    ]
    names = "+evaluator.zero_shot.sets.digits.class_names=[no,one,two,three,four,five,red,blue,green,pink]"
    chosen = "evaluator=[linear_probe,knn,zero_shot]"
    limits = ("evaluator.linear_probe.limit_train=200", "evaluator.linear_probe.max_iter=50")
    figures = _eval(run, run_command, tmp_path, chosen, *sets, names, *limits)
    assert "test/text_to_image/recall@1" not in figures
    for name in ("linear_probe", "knn"):
        found, pixels = (
            figures[f"test/{name}/digits/accuracy"],
            figures[f"baseline/raw_pixels/{name}/digits/accuracy"],
        )
        assert found["n"] == pixels["n"] == 64, "the run was quick"
        assert found["value"] > 0.15
        assert pixels["value"] > 0.7
    assert (
        figures["test/zero_shot/digits/top5_accuracy"]["value"]
        > figures["test/zero_shot/digits/accuracy"]["value"]
    )
    assert (tmp_path / "evaluation" / "test-knn-linear_probe-zero_shot" / "figures.json").is_file()
    assert not any(name.startswith("baseline/chance/text_to_image") for name in figures)
    assert "fitted on 200 of 1,150 training images" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["evaluator=[zero_shot]"], r"evaluator\.zero_shot\.sets names no data set"),
        (["evaluator=[knn]", "evaluator.knn.k=0", "+data@evaluator.knn.sets.x.data=digits"], r"knn\.k=0"),
        (
            [
                "evaluator=[knn]",
                "+data@evaluator.knn.sets.x.data=digits",
                "evaluator.knn.sets.x.data.image_size=8",
            ],
            r"image_size=8, and the run's model sees 64",
        ),
        (["evaluator=[knn]", "+data@evaluator.knn.sets.x.data=shapes_vqa"], r"data is VQADataModule"),
    ],
)
def test_mistakes_are_said_before_anything_is_written(run, run_command, tmp_path, words, message):
    with pytest.raises(UserError, match=message):
        run_command("eval", f"run={run}", f"output={tmp_path}/out", *words)
    assert not (tmp_path / "out").exists()


def test_classes_that_the_tokenizer_does_not_know_stop_the_training_before_it_begins(run_command, tmp_path):
    words = ("evaluator.zero_shot.sets.shape.data.attribute=pattern", "quick=true", "logger=none")
    names = "+evaluator.zero_shot.sets.shape.class_names={striped: zebra, hollow: donut}"
    with pytest.raises(UserError, match="can't tell the classes 'zebra' and 'donut' apart"):
        run_command("train", "+experiment=clip", *words, names, f"run.root={tmp_path}", "run.id=no")
    assert not (tmp_path / "no").exists()
