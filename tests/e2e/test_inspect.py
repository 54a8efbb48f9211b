"""`mmdl inspect` from the command line to the page in a browser."""

import io
import json
import shutil
import sys

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from mmdl.data.mnist import write_fixture
from mmdl.errors import UserError
from mmdl.inspection.drawing.picture import DARK, LIGHT


@pytest.fixture(scope="module")
def run(tmp_path_factory, run_command):
    """A classifier of digits, trained for some seconds."""
    folder = tmp_path_factory.mktemp("mnist")
    digits = [f"{key}={value}" for key, value in write_fixture(folder).items()]
    root = tmp_path_factory.mktemp("runs")
    run_command(
        "train",
        *("+experiment=mnist", "quick=true", "logger=none", "data.batch_size=32", "data.val_share=0.2"),
        *("model.channels=[8,16]", "model.hidden=[24]", "trainer.max_epochs=12", "data.augment=null"),
        *(f"run.root={root}", "run.id=one", *digits),
    )
    return root / "one"


@pytest.fixture(scope="module")
def right(run):
    """Row of a test sample that the run classifies right."""
    rows = [json.loads(line) for line in (run / "predictions" / "test.jsonl").read_text().splitlines()]
    return next(
        number for number, row in enumerate(rows) if row["correct"] and row["top"][0]["probability"] > 0.5
    )


@pytest.fixture(scope="module")
def inspected(run, right, run_command):
    """The folder of an inspection with gradients."""
    run_command("inspect", "run=one", f"root={run.parent}", f"sample=test:{right}", "gradients=true")
    return run / "inspect" / f"test-{right}"


def facts(folder):
    return json.loads((folder / "inspection.json").read_text())


def test_the_prediction_is_that_of_the_test(run, right, inspected):
    row = json.loads((run / "predictions" / "test.jsonl").read_text().splitlines()[right])
    found = facts(inspected)
    assert (found["image"], found["label"], found["prediction"]) == (
        row["id"],
        row["label"],
        row["prediction"],
    )
    assert found["top"][0]["probability"] == pytest.approx(row["top"][0]["probability"], abs=2e-2)
    assert found["jacobian"]["shape"] == [10, 784]
    assert len(found["checks"]) == 10
    assert all(check["passed"] for check in found["checks"])
    assert sum(stage["parameters"] for stage in found["stages"]) == found["parameters"]


def test_every_picture_is_written_and_none_is_blank(inspected):
    found = facts(inspected)["pictures"]
    names = [name.split("-", 1)[1].removesuffix(".png") for name in found]
    for wanted in (
        "input",
        "softmax",
        "convolution1-filters",
        "relu2-maps",
        "flatten-vector",
        "saliency-predicted",
    ):
        assert wanted in names
    for wanted in (
        "grad-cam-predicted",
        "gradient-histograms",
        "jacobian",
        "singular-values",
        "softmax-jacobian",
    ):
        assert wanted in names
    for name in found:
        assert np.asarray(Image.open(inspected / name).convert("RGB")).std() > 2, name


def test_the_console_says_what_was_found(run, right, run_command, tmp_path, capsys):
    run_command(
        "inspect", "run=latest", f"root={run.parent}", f"sample=test/{right}", f"output={tmp_path}/here"
    )
    lines = capsys.readouterr().out.splitlines()
    found = facts(tmp_path / "here")
    assert lines[0].startswith(f"{found['prediction']} ")
    assert "%" in lines[0]
    assert lines[1] == f"true class  {found['label']} (the data's own)"
    assert (tmp_path / "here" / "index.html").is_file()
    assert f"{tmp_path}/here/index.html" in lines[2]
    assert f"{len(found['pictures'])} PNG files" in lines[3]
    assert "checks" not in found


def test_an_image_of_ones_own_with_and_without_label(run, run_command, tmp_path, capsys):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 50, 3)).astype(np.uint8))
    image.save(tmp_path / "mine.png")
    common = (
        "inspect",
        "run=one",
        f"root={run.parent}",
        f"image={tmp_path}/mine.png",
        f"output={tmp_path}/out",
    )
    run_command(*common, "gradients=true")
    assert "for " + facts(tmp_path / "out")["prediction"] + " (the predicted class" in capsys.readouterr().out
    assert facts(tmp_path / "out")["label"] is None
    other = "3" if facts(tmp_path / "out")["prediction"] != "3" else "4"
    run_command(*common, f"label='{other}'", "gradients=true")
    assert f"true class  {other} (given by label=)" in capsys.readouterr().out
    found = facts(tmp_path / "out")
    assert found["loss_class"] == other
    assert any("grad-cam-true" in name for name in found["pictures"])
    run_command(*common)
    assert not list((tmp_path / "out").glob("*jacobian*"))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ([], "neither image= nor sample= was given"),
        (["image=a.png", "sample=test:0"], "image= and sample= were given both"),
        (["image=nothing.png"], "there is no image nothing.png"),
        (["sample=test:4000"], "the test split has 40 images"),
        (["sample=nothing"], "sample=nothing is no image of the run's data"),
        (["sample=test:0", "label=eleven"], "label=eleven is not a class"),
        (["sample=test:0", "data=digits"], "inspect takes samples of the run's own data"),
        (["sample=test:0", "run=nothing"], "there is no run 'nothing'"),
        (["sample=test:0", "weights=nothing.ckpt"], "there is no checkpoint"),
    ],
)
def test_mistakes_are_explained_and_leave_nothing(
    run, run_command, tmp_path, monkeypatch, overrides, message
):
    monkeypatch.chdir(tmp_path)
    before = sorted(run.rglob("*"))
    with pytest.raises(UserError, match=message):
        run_command("inspect", "run=one", f"root={run.parent}", *overrides)
    assert sorted(run.rglob("*")) == before
    assert list(tmp_path.iterdir()) == []


def test_a_broken_image_is_refused(run, run_command, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing more")
    with pytest.raises(UserError, match=r"broken\.png"):
        run_command("inspect", "run=one", f"root={run.parent}", f"image={tmp_path}/broken.png")


def test_a_vqa_run_is_refused(trained, run_command):
    with pytest.raises(UserError, match="inspect looks into image classifiers") as caught:
        run_command("inspect", "run=one", f"root={trained.root}", "sample=test:0")
    assert "mmdl.tasks.vqa" in str(caught.value)


def test_a_check_that_fails_is_said_and_ends_with_1(run, run_command, tmp_path, monkeypatch, capsys):
    from mmdl.inspection import checks

    monkeypatch.setattr(checks, "softmax_jacobian", lambda p: p.diag() + p.outer(p))
    with pytest.raises(SystemExit) as caught:
        run_command(
            "inspect",
            "run=one",
            f"root={run.parent}",
            "sample=test:0",
            "gradients=true",
            f"output={tmp_path}",
        )
    assert caught.value.code == 1
    shown = capsys.readouterr()
    assert "FAIL  Jacobian of the softmax" in shown.out
    assert "error: 2 of 10 checks failed" in shown.err
    assert "checks FAILED" in (tmp_path / "index.html").read_text()


def test_paths_and_labels_may_hold_any_text(run, tmp_path, capsys, monkeypatch):
    from mmdl.__main__ import main

    path = tmp_path / "my image, (1) [a=b].png"
    Image.new("L", (28, 28), 90).save(path)
    words = [
        "mmdl",
        "inspect",
        "run=one",
        f"root={run.parent}",
        f"image={path}",
        "label=7",
        f"output={tmp_path}/o, u",
    ]
    monkeypatch.setattr(sys, "argv", words)
    assert main() == 0, capsys.readouterr().err
    assert facts(tmp_path / "o, u")["label"] == "7"


def test_the_data_may_have_moved(run, right, run_command, tmp_path):
    from omegaconf import OmegaConf

    folder = OmegaConf.load(run / "config.yaml").data.root
    shutil.copytree(folder, tmp_path / "moved")
    run_command(
        "inspect",
        "run=one",
        f"root={run.parent}",
        f"sample=test:{right}",
        f"+data.root={tmp_path}/moved",
        f"output={tmp_path}/out",
    )
    assert facts(tmp_path / "out")["image"] == f"test/{right}"


MODELS = {
    "cnn": ["model=cnn", "model.channels=[6,8]", "model.dropout=0.2"],
    "resnet": ["model=resnet", "model.width=4"],
    "timm": ["model=timm", "model.name=resnet10t", "data.image_size=64"],
    "vit": ["model=timm", "model.name=vit_tiny_patch16_224"],
}


@pytest.mark.parametrize(
    "name", ["cnn", *(pytest.param(name, marks=pytest.mark.slow) for name in ("resnet", "timm", "vit"))]
)
def test_any_classifier_of_colour_images(name, run_command, tmp_path, open_page):
    from mmdl.data import imagefolder

    folders = [f"{key}={value}" for key, value in imagefolder.write_fixture(tmp_path / "images").items()]
    run_command(
        "train",
        *("data=imagefolder", *folders, "data.image_size=32", "data.batch_size=13", *MODELS[name]),
        *("task=classification", "evaluator=[classification]", "monitor.name=val/accuracy", "logger=none"),
        *(f"run.root={tmp_path}/runs", "run.id=one", "trainer.max_epochs=2", "trainer.precision=32-true"),
    )
    rows = [
        json.loads(line) for line in (tmp_path / "runs/one/predictions/test.jsonl").read_text().splitlines()
    ]
    run_command("inspect", "run=one", f"root={tmp_path}/runs", f"sample={rows[0]['id']}", "gradients=true")
    [folder] = (tmp_path / "runs" / "one" / "inspect").iterdir()
    found = facts(folder)
    assert (found["label"], found["prediction"]) == (rows[0]["label"], rows[0]["prediction"])
    shown = [picture.split("-", 1)[1].removesuffix(".png") for picture in found["pictures"]]
    assert any(picture.endswith("-filters") for picture in shown)
    assert any(picture.startswith("grad-cam") for picture in shown) == (name != "vit")
    assert any(check["name"].startswith("chain rule") for check in found["checks"]) == (
        name in ("cnn", "resnet")
    )
    page = open_page(folder / "index.html")
    text = page.locator("body").inner_text()
    assert ("no plain sequence of layers" in text) == (name in ("timm", "vit"))
    assert ("Grad-CAM does not apply" in text) == (name == "vit")
    images = page.locator("figure img")
    for number in range(images.count()):
        assert seen(images.nth(number)).std() > 2, images.nth(number).get_attribute("alt")


# -- in a browser -----------------------------------------------------------------------------------------------------


def seen(locator):
    return np.asarray(Image.open(io.BytesIO(locator.screenshot())).convert("RGB")).astype(int)


@pytest.mark.parametrize(("scheme", "theme"), [("light", LIGHT), ("dark", DARK)])
def test_the_page_opens_without_errors_and_every_picture_shows_something(inspected, open_page, scheme, theme):
    page = open_page(inspected / "index.html", scheme)
    assert page.locator("h1").inner_text().startswith("What run one sees in test/")
    images = page.locator("figure img")
    count = images.count()
    assert count == len(facts(inspected)["pictures"])
    for number in range(count):
        image = images.nth(number)
        assert image.evaluate("i => i.complete && i.naturalWidth > 0")
        assert seen(image).std() > 2, image.get_attribute("alt")
    background = page.evaluate("getComputedStyle(document.querySelector('section')).backgroundColor")
    assert background == "rgb({}, {}, {})".format(*(round(255 * part) for part in to_rgb(theme.surface)))


@pytest.mark.parametrize(("scheme", "theme"), [("light", LIGHT), ("dark", DARK)])
def test_the_right_class_is_on_top(inspected, open_page, scheme, theme):
    page = open_page(inspected / "index.html", scheme)
    found = facts(inspected)
    assert page.locator(".lead").inner_text().startswith(found["label"])
    bars = page.get_by_alt_text(f"{found['label']} is the most probable class")
    image = seen(bars)

    def longest(colour):
        wanted = np.round(np.array(to_rgb(colour)) * 255)
        widths = (np.abs(image - wanted).max(2) <= 8).sum(1)
        return int(widths.max()), int(widths.argmax())

    (true, row), (other, _) = longest(theme.right), longest(theme.accent)
    assert true > other  # the bar of the true class is the longest ...
    assert row < image.shape[0] / 10  # ... and the first of ten
    assert true / image.shape[1] > 0.3


def small(locator, channels):
    """What is seen, as 28 x 28 numbers."""
    image = seen(locator) @ np.array(channels, dtype=float)
    return np.asarray(Image.fromarray(image.astype(np.float32)).resize((28, 28), Image.Resampling.BOX))


def test_saliency_and_grad_cam_are_seen_where_they_were_computed(run, right, inspected, open_page):
    from mmdl.assembly import build_data, build_task
    from mmdl.inspection.forward import forward
    from mmdl.runs.loading import load_run, load_weights

    loaded = load_run(run.parent, "one")
    image = build_data(loaded.config, loaded.vocabularies, ["test"]).dataset("test")[np.array([right])][
        "images"
    ][0]
    task = build_task(loaded.config)
    load_weights(task, loaded)
    found = forward(task.model, image).explained[0]

    page = open_page(inspected / "index.html")
    shown = small(page.get_by_alt_text("Saliency for ").first, [1, 1, 1])
    assert np.corrcoef(shown.ravel(), found.saliency.numpy().ravel())[0, 1] > 0.9
    warm = small(page.get_by_alt_text("Grad-CAM for ").first, [1, 0, -1])  # the image below is grey
    assert np.corrcoef(warm.ravel(), found.grad_cam.heat[0].numpy().ravel())[0, 1] > 0.7


def test_it_can_be_used_by_keyboard(inspected, open_page):
    page = open_page(inspected / "index.html")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    button = page.locator(".zoom").nth(2)
    button.focus()
    page.keyboard.press("Enter")
    dialog = page.locator("dialog")
    assert dialog.is_visible()
    assert seen(dialog.locator("img")).std() > 2
    page.keyboard.press("Escape")
    assert not dialog.is_visible()
    assert button.evaluate("b => document.activeElement === b")


@pytest.mark.parametrize("width", [390, 1200])
def test_nothing_sticks_out_of_the_window(inspected, open_page, width):
    page = open_page(inspected / "index.html", width=width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_page_that_leaves_the_page_is_noticed(tmp_path, browser):
    """The fixture itself: a request and an error must not pass."""
    (tmp_path / "bad.html").write_text(
        '<img src="http://127.0.0.1:9/x.png"><script>throw Error("x")</script>'
    )
    problems = []
    page = browser.new_page()
    page.on("request", lambda r: problems.append(r.url))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto((tmp_path / "bad.html").as_uri())
    page.close()
    assert len(problems) >= 3  # the file, the image, the error
