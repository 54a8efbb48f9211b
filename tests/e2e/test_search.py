"""`mmdl index`, `mmdl search` and `mmdl predict` with a contrastive run, from the command line to the page."""

import io
import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from mmdl.data.shapes_captions import write_fixture
from mmdl.errors import UserError
from mmdl.search.folder import read_index


@pytest.fixture(scope="module")
def clip(tmp_path_factory, run_command):
    """A contrastive run of some seconds in float32, and the images of its test split."""
    folder = tmp_path_factory.mktemp("data")
    keys = [f"{key}={value}" for key, value in write_fixture(folder).items()]
    root = tmp_path_factory.mktemp("runs")
    run_command(
        "train",
        *("+experiment=clip", "quick=true", "logger=none", "trainer.precision=32-true", "data.batch_size=12"),
        *("trainer.max_epochs=2", f"run.root={root}", "run.id=one", *keys),
    )
    return SimpleNamespace(root=root, path=root / "one", images=folder / "shapes" / "images")


@pytest.fixture(scope="module")
def index(clip, run_command):
    """The index of the images of all splits, at its default place."""
    run_command("index", "run=one", f"root={clip.root}", f"images={clip.images}", "batch_size=10")
    return clip.path / "indexes" / "images"


@pytest.fixture
def mmdl(monkeypatch, capsys):
    """`mmdl("search", ...)` runs a command line in this process; its exit code, output and errors."""

    def call(*words):
        from mmdl.__main__ import main

        monkeypatch.setattr(sys, "argv", ["mmdl", *map(str, words)])
        capsys.readouterr()
        code = main()
        shown = capsys.readouterr()
        return SimpleNamespace(code=code, out=shown.out, err=shown.err)

    return call


def rows_of(folder):
    return [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]


def evaluated(clip, run_command, monkeypatch):
    """Embeddings of the test images and captions as the evaluators get them."""
    from mmdl.evaluators.retrieval import RetrievalEvaluator

    seen = {}
    run = RetrievalEvaluator.run

    def spy(self, context):
        seen.update(context.outputs)
        seen["data"] = context.data
        return run(self, context)

    monkeypatch.setattr(RetrievalEvaluator, "run", spy)
    run_command("eval", "run=one", f"root={clip.root}", f"output={clip.root}/evaluated")
    return seen


def test_the_ranking_is_that_of_the_evaluators_similarity_matrix(clip, run_command, monkeypatch, tmp_path):
    run_command(
        "index", "run=one", f"root={clip.root}", f"images={clip.images}/test", f"output={tmp_path}/index"
    )
    seen = evaluated(clip, run_command, monkeypatch)
    captions = seen["data"]._index("test").captions
    names = [Path(path).name for path in seen["data"]._index("test").image_paths]
    matrix = seen["captions/embeddings"] @ seen["embeddings"].T
    first = [captions[row] for row in seen["captions/rows"]]
    (tmp_path / "captions.txt").write_text("\n".join(first) + "\n")
    run_command(
        "search", f"queries={tmp_path}/captions.txt", f"index={tmp_path}/index", f"output={tmp_path}/found"
    )
    rows = rows_of(tmp_path / "found")
    assert len(rows) == len(first) * len(names)
    for number, (caption, similarities) in enumerate(zip(first, matrix, strict=True)):
        found = rows[number * len(names) : (number + 1) * len(names)]
        assert {row["query"] for row in found} == {caption}
        assert [row["rank"] for row in found] == list(range(1, len(names) + 1))
        order = np.argsort(-similarities, kind="stable")
        assert [row["path"] for row in found] == [names[place] for place in order]
        assert [row["similarity"] for row in found] == pytest.approx(similarities[order].tolist(), abs=2e-6)


def test_an_index_brought_up_to_date_equals_a_new_one(clip, run_command, tmp_path, capsys):
    images = tmp_path / "images"
    shutil.copytree(clip.images, images)
    files = sorted(images.rglob("*.png"))
    moved = tmp_path / "moved.png"
    shutil.move(files[3], moved)
    call = ("index", "run=one", f"root={clip.root}", f"images={images}", "batch_size=8")
    run_command(*call, f"output={tmp_path}/old")
    shutil.move(moved, files[3])
    files[7].unlink()
    Image.new("RGB", (50, 30), "red").save(files[9])
    Image.new("RGB", (50, 30), "blue").save(images / "sub.jpg")
    capsys.readouterr()
    run_command(*call, f"output={tmp_path}/old")
    assert "2 new, 1 changed, 1 dropped, 33 kept" in capsys.readouterr().out
    run_command(*call, f"output={tmp_path}/new")
    old, new = read_index(tmp_path / "old"), read_index(tmp_path / "new")
    assert old.names == new.names == sorted(str(p.relative_to(images)) for p in images.rglob("*.*g"))
    assert np.array_equal(old.sizes, new.sizes)
    assert np.array_equal(old.times, new.times)
    assert np.abs(old.embeddings - new.embeddings).max() < 1e-6
    assert sorted(path.name for path in (tmp_path / "old").iterdir())[1:] == sorted(
        ["index.json", *(file["name"] for file in old.facts["files"].values())]
    )


def test_nothing_is_encoded_again(clip, index, run_command, capsys, monkeypatch):
    import mmdl.search.encoder

    monkeypatch.setattr(mmdl.search.encoder, "load_encoder", lambda *_: pytest.fail("the model was loaded"))
    before = (index / "index.json").read_text()
    run_command("index", "run=one", f"root={clip.root}", f"images={clip.images}")
    assert "up to date: 0 new, 0 changed, 0 dropped, 36 kept" in capsys.readouterr().out
    assert (index / "index.json").read_text() == before


def test_other_weights_make_a_new_index(clip, run_command, tmp_path, capsys):
    from mmdl.runs.checkpoint_io import AtomicCheckpointIO, newest_valid, read_checkpoint

    shutil.copytree(clip.path, tmp_path / "one")
    call = ("index", "run=one", f"root={tmp_path}", f"images={clip.images}/test")
    run_command(*call)
    checkpoint = read_checkpoint(newest_valid(tmp_path / "one" / "checkpoints"))
    for name, value in checkpoint["state_dict"].items():
        if value.is_floating_point() and "projection" in name:
            checkpoint["state_dict"][name] = value + torch.randn_like(value)
    other = tmp_path / "one" / "checkpoints" / "other.ckpt"
    AtomicCheckpointIO().save_checkpoint(checkpoint, other)
    before = np.array(read_index(tmp_path / "one" / "indexes" / "test").embeddings)
    capsys.readouterr()
    run_command(*call, f"weights={other}")
    out = capsys.readouterr().out
    assert "made anew: the earlier index has another weights" in out
    assert "6 new, 0 changed, 0 dropped, 0 kept" in out
    after = read_index(tmp_path / "one" / "indexes" / "test")
    assert np.abs(after.embeddings - before).max() > 1e-3
    run_command("search", "query=a circle", f"root={tmp_path}")
    # the same file with other content is refused, and a file that is gone is named
    AtomicCheckpointIO().save_checkpoint(
        read_checkpoint(newest_valid(tmp_path / "one" / "checkpoints")), other
    )
    with pytest.raises(UserError, match="made with other weights than those"):
        run_command("search", "query=a circle", f"root={tmp_path}")
    other.unlink()
    with pytest.raises(UserError, match=r"the weights other\.ckpt.* are gone") as caught:
        run_command("search", "query=a circle", f"root={tmp_path}")
    assert caught.value.fix.startswith("python -m mmdl index run=one images=")
    shutil.copytree(tmp_path / "one" / "indexes" / "test", tmp_path / "alone")
    shutil.rmtree(tmp_path / "one")
    with pytest.raises(UserError, match="the run 'one', which made the index"):
        run_command("search", "query=a circle", f"root={tmp_path}", f"index={tmp_path}/alone")


QUERIES = [
    "a red circle left of a square",
    'is it "red", or [blue]?',
    "a = b, c",
    "color=red",
    "what?",
    "ein großer roter Kreis, 漢字",
    "it's {x: 1} \\ ${y} $5",
    "'quoted'",
    "null",
    "experiment",
]


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_reaches_the_encoder_unchanged(clip, index, mmdl, monkeypatch, tmp_path, query):
    from mmdl.data.tokenizer.word import WordTokenizer

    seen = []
    call = WordTokenizer.__call__
    monkeypatch.setattr(
        WordTokenizer, "__call__", lambda self, texts: seen.append(list(texts)) or call(self, texts)
    )
    done = mmdl("search", query, f"root={clip.root}", "top_k=2", f"output={tmp_path}/out, 1")
    assert done.code == 0, done.err
    assert seen
    assert all(texts == [query] for texts in seen)
    rows = rows_of(tmp_path / "out, 1")
    assert [(row["query"], row["query_type"], row["rank"]) for row in rows] == [
        (query, "text", 1),
        (query, "text", 2),
    ]
    assert all((clip.images / row["path"]).samefile(row["image"]) for row in rows)
    assert rows[0]["path"] in done.out
    assert "ms to encode 1 query" in done.out


def test_query_and_bare_words_are_the_same(clip, index, mmdl, tmp_path):
    one = mmdl("search", "query=a red circle, or not?", f"root={clip.root}", f"output={tmp_path}/one")
    two = mmdl("search", f"root={clip.root}", f"output={tmp_path}/two", "a red circle, or not?")
    assert (one.code, two.code) == (0, 0), one.err + two.err
    assert (tmp_path / "one" / "results.jsonl").read_text() == (
        tmp_path / "two" / "results.jsonl"
    ).read_text()


def test_an_image_finds_itself_first(clip, index, mmdl, tmp_path):
    file = sorted(clip.images.rglob("*.png"))[5]
    done = mmdl("search", f"image={file}", f"root={clip.root}", "top_k=3", f"output={tmp_path}")
    assert done.code == 0, done.err
    rows = rows_of(tmp_path)
    assert rows[0]["image"] == str(file)
    assert rows[0]["similarity"] == pytest.approx(1.0, abs=1e-5)
    assert rows[0]["query_type"] == "image"


def test_unknown_words_are_named(clip, index, mmdl, tmp_path):
    done = mmdl("search", "a zebra left of a Red square", f"root={clip.root}", f"output={tmp_path}")
    assert "the run does not know 'zebra'" in done.out
    assert "zebra" in (tmp_path / "index.html").read_text().split("<main")[1].split("<ol")[0]
    assert (
        "does not know" not in mmdl("search", "a red square", f"root={clip.root}", f"output={tmp_path}").out
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "no query was given"),
        ([""], "the query is empty"),
        (["   "], "the query is empty"),
        (["a", "b"], "2 texts were given: 'a', 'b'"),
        (["a", "topk=3"], "topk"),
        (["a", "query=b"], "'a' and query= were given both"),
        (["a", "image=x.png"], "query= and image= were given together"),
        (["image=nothing.png"], "image=nothing.png does not exist"),
        (["queries=nothing.txt"], "file not found: nothing.txt"),
        (["a", "top_k=0"], "top_k=0"),
        (["a", "top_k=many"], "top_k=many"),
        (["a", "index=nowhere"], "there is no index nowhere"),
        (["a", "run=two"], "there is no run 'two'"),
        (["a", "backend=fais"], "backend=fais"),
        (["a", "backend=faiss"], "was made for the exact search"),
    ],
)
def test_mistakes_of_a_search_are_explained(clip, index, mmdl, words, message, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    done = mmdl("search", *words, f"root={clip.root}")
    assert done.code == 2
    assert message in done.err
    assert "Traceback" not in done.err
    assert list(tmp_path.iterdir()) == []


def test_without_an_index_it_says_how_to_make_one(clip, mmdl, tmp_path):
    done = mmdl("search", "a circle", f"root={tmp_path}")
    assert done.code == 2
    assert "there is no index" in done.err
    assert "python -m mmdl index run=latest images=FOLDER" in done.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["images=nothing"], "images=nothing does not exist"),
        (["images=a.txt"], "images=a.txt is a file"),
        (["images=empty"], "there is no image in empty"),
        ([], "images has no value"),
        (["images=.", "output=a.txt"], "a.txt could not be written"),
        (["images=.", "output=a.txt/below"], "could not be written: Not a directory"),
        (["images=.", "output=full"], "output=full is not empty and holds no index"),
        (["images=.", "backend=exakt"], "backend=exakt"),
        (["images=.", "dtype=float8"], "dtype=float8"),
        (["images=.", "batch_size=0"], "batch_size=0"),
        (["images=broken", "on_bad_sample=raise"], "bad image 'broken/b.png': not an image"),
        (["images=broken"], "none of the 1 images in broken can be used"),
    ],
)
def test_mistakes_of_an_index_are_explained(clip, mmdl, words, message, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name in ("empty", "full", "broken"):
        (tmp_path / name).mkdir()
    for name in ("a.txt", "full/b.txt", "broken/b.png"):
        (tmp_path / name).write_text("nothing")
    Image.new("RGB", (20, 20), "red").save(tmp_path / "a.png")
    before = sorted(clip.path.rglob("*"))
    done = mmdl("index", "run=one", f"root={clip.root}", *words)
    assert done.code == 2
    assert message in done.err
    assert "Traceback" not in done.err
    assert [p for p in sorted(clip.path.rglob("index.json")) if p not in before] == []


def test_a_run_of_another_kind_is_refused(trained, mmdl, tmp_path):
    done = mmdl("index", "run=one", f"root={trained.root}", f"images={tmp_path}")
    assert done.code == 2
    assert "has the task mmdl.tasks.vqa.VQATask" in done.err
    assert "+experiment=clip" in done.err
    done = mmdl("predict", "run=one", f"root={trained.root}", "image=a.png", "texts=a|b")
    assert done.code == 2
    assert "texts= was given, and this run answers questions" in done.err


def test_inspect_refuses_a_contrastive_run(clip, mmdl):
    done = mmdl("inspect", "run=one", f"root={clip.root}", "image=a.png")
    assert done.code == 2
    assert "inspect looks into image classifiers" in done.err


def test_bad_images_are_listed_and_left_out(clip, mmdl, tmp_path):
    images = tmp_path / "images"
    (images / "deep").mkdir(parents=True)
    Image.new("RGB", (20, 20), "red").save(images / "deep" / "a.png")
    (images / "empty.png").write_bytes(b"")
    (images / "text.JPG").write_text("text")
    (images / "gone.png").symlink_to(tmp_path / "nothing.png")
    (images / "notes.txt").write_text("no image")
    words = ("index", "run=one", f"root={clip.root}", f"images={images}", f"output={tmp_path}/index")
    done = mmdl(*words)
    assert done.code == 0, done.err
    assert "1 missing, 1 empty file, 1 not an image" in done.out
    assert "left out: bad image" in done.out
    index = read_index(tmp_path / "index")
    assert index.names == ["deep/a.png"]
    assert index.facts["left_out"] == {"missing": 1, "empty file": 1, "not an image": 1}
    assert mmdl(*words, "on_bad_sample=raise").code == 2


def test_a_damaged_index_is_refused_by_search_and_made_anew_by_index(clip, mmdl, tmp_path):
    words = (
        "index",
        "run=one",
        f"root={clip.root}",
        f"images={clip.images}/test",
        f"output={tmp_path}/index",
    )
    search = (
        "search",
        "a circle",
        f"root={clip.root}",
        f"index={tmp_path}/index",
        f"output={tmp_path}/found",
    )
    mmdl(*words)
    [file] = (tmp_path / "index").glob("embeddings-*")
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    done = mmdl(*search)
    assert done.code == 2
    assert "does not match its SHA-256" in done.err
    assert f"python -m mmdl index run=one images={clip.images}/test output=" in done.err
    assert "made anew: the index" in mmdl(*words).out
    assert mmdl(*search).code == 0
    facts = tmp_path / "index" / "index.json"
    for text, message in (
        (facts.read_text().replace('"format": 1', '"format": 2'), "is of version 2"),
        (facts.read_text()[:100], "index.json can't be read"),
        ("[]", "index.json can't be read"),
    ):
        facts.write_text(text)
        done = mmdl(*search)
        assert done.code == 2
        assert message in done.err
    assert mmdl(*words).code == 0
    [file] = (tmp_path / "index").glob("files-*")
    file.unlink()
    assert f"{file.name} can't be read" in mmdl(*search).err


def test_an_index_of_float16_keeps_its_kind(clip, mmdl, tmp_path):
    words = (
        "index",
        "run=one",
        f"root={clip.root}",
        f"images={clip.images}/test",
        f"output={tmp_path}/index",
    )
    assert "6 new" in mmdl(*words).out
    assert "float16" in mmdl(*words, "dtype=float16").out  # converted, and not encoded again
    assert "up to date" in mmdl(*words).out
    assert read_index(tmp_path / "index").embeddings.dtype == np.float16
    assert "6 new" in mmdl(*words, "dtype=float32").out
    assert read_index(tmp_path / "index").embeddings.dtype == np.float32


def test_deleted_images_are_said_to_be(clip, mmdl, run_command, open_page, tmp_path):
    images = tmp_path / "photos"
    shutil.copytree(clip.images / "test", images)
    gone, broken, *_ = sorted(images.iterdir())
    mmdl("index", "run=one", f"root={clip.root}", f"images={images}", f"output={tmp_path}/index")
    gone.unlink()
    broken.write_text("x")
    done = mmdl("search", "a circle", f"root={clip.root}", f"index={tmp_path}/index")
    assert done.code == 0, done.err
    assert f"{gone.name}  (deleted)" in done.out
    [folder] = (tmp_path / "index" / "searches").iterdir()
    rows = {row["path"]: row for row in rows_of(folder)}
    assert rows[gone.name]["missing"] is True
    assert "missing" not in rows[broken.name]
    page = open_page(folder / "index.html")
    assert sorted(page.locator(".gone").all_inner_texts()) == ["can’t be read", "deleted since"]
    assert page.locator(".hits img").count() == 4
    assert "2 images have been deleted or damaged" in page.locator("footer").inner_text()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1200), ("dark", 1200), ("light", 390)])
def test_the_page_shows_the_images(clip, index, mmdl, open_page, tmp_path, scheme, width):
    mmdl("search", "a <b>red</b> circle & a square", f"root={clip.root}", "top_k=12", f"output={tmp_path}")
    page = open_page(tmp_path / "index.html", scheme, width)
    assert page.locator(".lead").inner_text() == "“a <b>red</b> circle & a square”"
    rows = rows_of(tmp_path)
    assert page.locator(".hits .name").all_inner_texts() == [row["path"] for row in rows]
    sizes = page.evaluate(
        "[...document.querySelectorAll('.hits img')].map(i => [i.naturalWidth, i.complete])"
    )
    assert sizes == [[64, True]] * 12
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("nav").count() == 0
    pixels = np.asarray(Image.open(io.BytesIO(page.locator(".hits img").first.screenshot())).convert("RGB"))
    assert pixels.std() > 5
    ink, surface = (
        page.evaluate(f"getComputedStyle(document.querySelector('.level2')).{name}")
        for name in ("color", "backgroundColor")
    )
    assert (sum(map(int, ink[4:-1].split(","))) > sum(map(int, surface[4:-1].split(",")))) == (
        scheme == "dark"
    )
    page.locator(".zoom").first.click()
    assert page.locator("dialog img").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator("dialog img").is_visible()


def test_many_queries_get_a_section_and_a_sheet_each(clip, index, mmdl, open_page, tmp_path):
    (tmp_path / "queries.txt").write_text("\ufeffa red circle\n\n  two squares\r\na = b\n")
    words = (f"queries={tmp_path}/queries.txt", f"root={clip.root}", "top_k=4", f"output={tmp_path}/found")
    done = mmdl("search", *words)
    assert done.code == 0, done.err
    assert [row["query"] for row in rows_of(tmp_path / "found")][::4] == [
        "a red circle",
        "  two squares",
        "a = b",
    ]
    sheets = sorted(path.name for path in (tmp_path / "found").glob("*.png"))
    assert sheets == ["contact_sheet_01.png", "contact_sheet_02.png", "contact_sheet_03.png"]
    page = open_page(tmp_path / "found" / "index.html")
    assert page.locator("section").count() == page.locator("nav li").count() == 3
    mmdl("search", "a circle", *words[1:])
    assert [path.name for path in (tmp_path / "found").glob("*.png")] == ["contact_sheet.png"]


def test_predict_ranks_texts(clip, mmdl, tmp_path):
    from mmdl.runs.loading import load_run
    from mmdl.search.encoder import load_encoder

    encoder = load_encoder(load_run(clip.root, "one"), "cpu")
    file = sorted((clip.images / "test").iterdir())[0]
    texts = ["a red circle", 'a, b = "c"?', "two squares"]
    from mmdl.data.transforms.image import load_image

    similarities = encoder.texts(texts) @ encoder.images(load_image(file, 64)[None])[0]
    shares = (torch.tensor(similarities) * encoder.model.logit_scale.exp()).softmax(0).tolist()
    words = ("predict", "run=one", f"root={clip.root}", "texts=" + " | ".join(texts))
    done = mmdl(*words, f"image={file}")
    assert done.code == 0, done.err
    order = np.argsort(shares)[::-1]
    lines = done.out.splitlines()
    assert [line.split("  ")[0] for line in lines] == [texts[place] for place in order]
    assert [float(line.split()[-3]) for line in lines] == pytest.approx([shares[p] for p in order], abs=1e-3)
    done = mmdl(*words, f"image={clip.images}/test", f"output={tmp_path}/out.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert len(rows) == 6
    assert sum(item["probability"] for item in rows[0]["top"]) == pytest.approx(1, abs=1e-5)
    assert rows[0]["prediction"] == rows[0]["top"][0]["text"] == texts[order[0]]
    assert {item["text"]: item["similarity"] for item in rows[0]["top"]} == pytest.approx(
        dict(zip(texts, similarities.tolist(), strict=True)), abs=1e-5
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["image=a.png"], "texts not given"),
        (["texts=a|b"], "image not given"),
        (["image=a.png", "texts=a|b", "question=what?"], "question= was given, and this run ranks texts"),
        (["input=a.jsonl", "texts=a|b"], "input= was given, and this run ranks texts"),
        (["image=a.png", "texts=a||b"], "has an empty text"),
        (["image=a.png", "texts="], "has an empty text"),
        (["image=a.png", "texts=a"], "has one text, 'a'"),
        (["image=a.png", "texts=a|b"], "there is no image a.png"),
    ],
)
def test_mistakes_of_a_prediction_are_explained(clip, mmdl, words, message):
    done = mmdl("predict", "run=one", f"root={clip.root}", *words)
    assert done.code == 2
    assert message in done.err


def test_siglip_scores_each_text_by_itself(tmp_path, run_command, mmdl):
    keys = [f"{key}={value}" for key, value in write_fixture(tmp_path).items()]
    run_command(
        "train",
        *("+experiment=clip", "quick=true", "logger=none", "data.batch_size=12", "task.loss=siglip"),
        *("model.init_scale=10", "model.init_bias=-10", f"run.root={tmp_path}/runs", "run.id=one", *keys),
    )
    file = sorted((tmp_path / "shapes" / "images" / "test").iterdir())[0]
    done = mmdl("predict", "run=one", f"root={tmp_path}/runs", f"image={file}", "texts=a red circle")
    assert done.code == 0, done.err
    words = done.out.split()
    expected = 1 / (1 + np.exp(10 - 10 * float(words[-1].rstrip(")"))))
    assert float(words[3]) == pytest.approx(expected, abs=2e-3)
    assert float(words[3]) < 0.1
