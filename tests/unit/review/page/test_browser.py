"""The page of a review in a browser, but its curves; `open_page` fails on any console error and any request."""

import json

import pytest

from mmdl.review.page.render import write_page


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_opens_and_says_first_which_run_is_better(written, open_page, scheme):
    page = open_page(written, scheme)
    verdicts = page.locator(".verdict").all_inner_texts()
    assert verdicts[0] == "No difference shown between film and film-seed-1."
    assert verdicts[1].startswith("film is better than concat by +0.1700")
    assert page.locator(".entrants tbody tr").count() == 5
    assert page.locator(".entrants .whisker").count() == 3
    states = page.locator(".entrants .badge").all_inner_texts()
    assert states == ["finished", "finished", "finished", "running", "failed"]
    anchors = page.locator(".contents a").evaluate_all("links => links.map(link => link.hash.slice(1))")
    assert anchors[:5] == ["overview", "comparison", "curves", "metrics", "cost"]
    assert anchors[-2:] == ["configuration", "reproduce"]
    for anchor in anchors:
        assert page.locator(f"section#{anchor}").count() == 1


def test_on_paper_all_is_unfolded_and_light(written, open_page):
    page = open_page(written, "dark")
    folded = page.locator("details:not([open])").count()
    assert folded > 0
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details:not([open])").count() == 0
    assert page.evaluate("mmdl.css('--page')") == "#f3f5f7"
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("details:not([open])").count() == folded
    assert page.evaluate("mmdl.css('--page')") != "#f3f5f7"


def test_the_metrics_are_sorted_filtered_and_turned(written, open_page):
    page = open_page(written)
    table = page.locator("#metrics-table")
    names = lambda: table.locator("tbody th").all_inner_texts()  # noqa: E731
    assert names()[0] == "test/vqa_accuracy"
    assert "not a number" in table.locator("tr", has_text="test/ece").inner_text()
    assert table.locator("tbody tr").first.locator("td.best").inner_text().startswith("0.7800")
    assert table.locator("tr", has_text="test/loss").locator("td.best").inner_text().startswith("0.7200")
    page.get_by_label("Find figures").fill("answer_type")
    assert len(names()) == 3
    head = table.get_by_role("button", name="concat")
    head.click()
    assert names() == [f"test/vqa_accuracy/answer_type/{part}" for part in ("yes_no", "other", "number")]
    assert table.locator("th[aria-sort=descending]").inner_text().strip().startswith("concat")
    page.keyboard.press("Enter")  # the focus stayed on the heading
    assert names()[0].endswith("number")
    page.get_by_label("Find figures").fill("")
    table.get_by_role("button", name="Runs as rows").click()
    assert [name.strip() for name in names()] == ["film", "film-seed-1", "concat", "going", "ended"]
    table.get_by_role("button", name="test/vqa_accuracy", exact=True).click()
    table.get_by_role("button", name="test/vqa_accuracy", exact=True).click()
    assert names()[0].strip() == "concat"
    assert {name.strip() for name in names()[3:]} == {"going", "ended"}  # without a figure: last


def test_entrants_are_sorted_by_their_figures(written, open_page):
    page = open_page(written)
    table = page.locator(".entrants")
    table.get_by_role("button", name="Training").click()
    assert table.locator("tbody .name").first.inner_text().strip() == "concat"
    table.get_by_role("button", name="Training").click()
    assert table.locator("tbody .name").first.inner_text().strip() == "film"


def test_cost_is_switched(written, open_page):
    page = open_page(written)
    cost = page.locator("#cost")
    assert cost.locator(".point").count() == 3
    before = cost.locator(".point circle").evaluate_all("points => points.map(p => p.getAttribute('cx'))")
    cost.get_by_role("button", name="samples seen").click()
    assert "samples seen 64k" in cost.locator(".point").first.get_attribute("aria-label")
    after = cost.locator(".point circle").evaluate_all("points => points.map(p => p.getAttribute('cx'))")
    assert after != before
    cost.get_by_label("Log x").uncheck()
    assert (
        cost.locator(".point circle").evaluate_all("points => points.map(p => p.getAttribute('cx'))") != after
    )
    assert cost.get_by_role("button", name="FLOPs").is_disabled()
    assert "No run says its FLOPs of the training." in cost.inner_text()
    assert "Without a score: going, ended." in cost.inner_text()


def test_the_configuration_is_searched_and_the_command_copied(written, open_page):
    page = open_page(written)
    part = page.locator("#configuration")
    assert part.locator("tbody tr").first.locator("td.other").all_inner_texts() == ["0.01"]
    part.get_by_label("Find keys or values").fill("optimizer lr")
    assert part.locator("pre:visible").count() == 5
    assert part.locator("pre:visible").nth(2).inner_text() == "optimizer.lr: 0.01"
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    button = page.get_by_role("button", name="Copy the command of film", exact=True)
    button.click()
    page.get_by_text("Copied").wait_for()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == "python -m mmdl train +experiment=vqa run.id=film optimizer.lr=0.002"


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_sticks_out_of_the_window(written, open_page, width):
    page = open_page(written, width=width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


HOSTILE = '<script>document.title="taken"</script><img src=x onerror="document.title=1">'


def test_hostile_text_is_shown_as_text(make_run, make_review, tmp_path, open_page):
    folder = make_run(tmp_path, "odd")
    (folder / "config.yaml").write_text(json.dumps({"name": HOSTILE, "seed": 1, HOSTILE: HOSTILE}))
    rows = [{"step": step, "time": 1e9 + step, f"train/{HOSTILE}": 1.0 * step} for step in range(5)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "summary.json").write_text(
        json.dumps({f"test/{HOSTILE}": {"value": 0.5, "n": 3, "ci95": None}})
    )
    manifest = {"command": ["mmdl", "train", HOSTILE], "packages": {HOSTILE: HOSTILE}, "started": HOSTILE}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    review = make_review([folder])
    review.entrants[0].label = HOSTILE
    review.notes = [HOSTILE]
    review.differences = []
    page = open_page(write_page(review, tmp_path / "page.html"))
    assert page.title() == "Review of odd"
    assert page.locator("img").count() == 0
    for part in ("#overview", "#metrics", "#reproduce", "#curves"):
        assert "<script>document.title" in page.locator(part).inner_text(), part


def test_one_run_that_has_only_begun(make_run, make_review, tmp_path, open_page):
    folder = make_run(tmp_path, "new", state="running", points=1)
    for name in ("metrics.jsonl", "summary.json", "manifest.json"):
        (folder / name).unlink(missing_ok=True)
    page = open_page(write_page(make_review([folder]), tmp_path / "page.html"))
    assert page.locator(".verdict").inner_text() == "new has no score yet: it is running."
    text = page.locator("main").inner_text()
    assert "No run has logged a curve yet." in text
    assert "manifest.json is missing" in text
    assert "Nothing was compared" in text
