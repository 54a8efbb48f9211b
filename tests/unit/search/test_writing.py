import json

import numpy as np
from PIL import Image

from mmdl.search.queries import Query
from mmdl.search.results import Found, Hit
from mmdl.search.writing import MOST_SHOWN, write_results

NAMES = [
    "<img src=x onerror=alert(1)>.png",
    '"><script>alert(1)<|script>.png',
    "$x^{$ \\frac.png",
    "two\nlines\t.png",
    "größe 漢字 🙂.png",
]


def results(folder, count=1, query="<b>$q$</b>\x07"):
    for name in NAMES:
        Image.new("RGB", (60, 40), "red").save(folder / name)
    hits = [Hit(n, name, 0.5, folder / name, True) for n, name in enumerate(NAMES, start=1)]
    return [Found(Query(f"{query}{n}" if count > 1 else query), hits, []) for n in range(count)]


def test_hostile_names_are_text_everywhere(tmp_path, open_page):
    images = tmp_path / "images"
    images.mkdir()
    [sheet] = write_results(tmp_path / "out", results(images), [("run", "<i>one</i>")])
    assert np.asarray(Image.open(sheet)).std() > 10
    page = open_page(tmp_path / "out" / "index.html")
    shown = page.locator(".hits .name").all_inner_texts()
    assert shown == [name.replace("\n", "\\n").replace("\t", "\\t") for name in NAMES]
    assert page.locator(".lead").inner_text() == "“<b>$q$</b>\\x07”"
    assert page.evaluate("[...document.querySelectorAll('.hits img')].every(i => i.naturalWidth === 60)")
    assert page.locator("script").count() == 1
    rows = [json.loads(line) for line in (tmp_path / "out" / "results.jsonl").read_text().splitlines()]
    assert [row["path"] for row in rows] == NAMES


def test_pictures_are_for_the_first_queries_only(tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    count = MOST_SHOWN + 3
    sheets = write_results(tmp_path / "out", results(images, count), [("run", "one")])
    assert len(sheets) == MOST_SHOWN
    assert len((tmp_path / "out" / "results.jsonl").read_text().splitlines()) == count * len(NAMES)
    text = (tmp_path / "out" / "index.html").read_text()
    assert text.count("<section") == MOST_SHOWN
    assert f"The first {MOST_SHOWN} of {count} queries are shown" in text


def test_an_image_query_is_shown_beside_its_title(tmp_path, open_page):
    images = tmp_path / "images"
    images.mkdir()
    found = results(images)[0]._replace(query=Query("photo.png", images / NAMES[0]))
    plain = write_results(tmp_path / "plain", results(images, query="photo.png"), [])[0]
    [sheet] = write_results(tmp_path / "out", [found], [])
    assert sheet.read_bytes() != plain.read_bytes()
    page = open_page(tmp_path / "out" / "index.html")
    assert page.locator(".asked img").evaluate("i => i.naturalWidth") == 60
    assert page.locator(".lead").inner_text() == "photo.png"


def test_an_image_of_any_proportions_is_seen_whole(tmp_path, open_page):
    for name, size in (("tall.png", (30, 400)), ("wide.png", (400, 30)), ("small.png", (5, 5))):
        Image.new("RGB", size, "red").save(tmp_path / name)
    hits = [Hit(1, name, 0.5, tmp_path / name, True) for name in ("tall.png", "wide.png", "small.png")]
    write_results(tmp_path / "out", [Found(Query("q"), hits, [])], [])
    page = open_page(tmp_path / "out" / "index.html")
    boxes = page.evaluate(
        "[...document.querySelectorAll('.hits img')].map(i => [i.getBoundingClientRect(), "
        "i.closest('button').getBoundingClientRect(), getComputedStyle(i).objectFit])"
    )
    for image, button, fit in boxes:
        assert fit == "contain"
        assert abs(button["width"] - button["height"]) < 1
        assert abs(image["height"] - button["height"]) <= 2
        assert abs(image["width"] - button["width"]) <= 2
