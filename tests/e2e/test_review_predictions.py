"""The browser of predictions in a real browser: filter, compare two runs, open, page, link."""

import json
import re

import pytest

from mmdl.review.building import build_review
from mmdl.review.model import Review
from mmdl.review.page.render import write_page
from mmdl.review.reading import read_run


def write(path, *runs):
    return write_page(Review([read_run(run) for run in runs]), path)


def records(run, name="test"):
    return [json.loads(line) for line in (run / "predictions" / f"{name}.jsonl").read_text().splitlines()]


def shown(page):
    return page.locator("#browser .summary strong").inner_text()


def ids(page):
    return page.locator("#browser .item .meta span:last-child").all_inner_texts()


def chip(page, text):
    return page.locator("#browser .chip", has_text=re.compile(f"^{re.escape(text)}"))


@pytest.fixture(scope="module")
def vqa(tmp_path_factory, folders):
    """Two VQA runs with baselines, and the page of both."""
    root = tmp_path_factory.mktemp("vqa")
    runs = [folders.vqa(root, "one", seed=0), folders.vqa(root, "two", seed=1)]
    return write(root / "page.html", *runs), [records(run) for run in runs]


@pytest.fixture(scope="module")
def digits(tmp_path_factory, folders):
    """Two classifiers of 60 images, and the page of both."""
    root = tmp_path_factory.mktemp("digits")
    runs = [folders.classification(root, "one", seed=0), folders.classification(root, "two", seed=1)]
    return write(root / "page.html", *runs), [records(run) for run in runs]


@pytest.mark.parametrize(("outcome", "fits"), [("right", lambda s: s == 1), ("wrong", lambda s: s == 0)])
def test_right_and_wrong_are_filtered_and_counted(vqa, open_page, outcome, fits):
    path, (one, _) = vqa
    page = open_page(path)
    expected = {str(record["question_id"]) for record in one if fits(record["score"])}
    button = chip(page, outcome).first
    assert button.locator(".count").inner_text() == str(len(expected))
    button.click()
    assert shown(page) == f"{len(expected)} of 24 shown"
    assert set(ids(page)) == expected
    chip(page, outcome).first.click()
    assert shown(page) == "24 of 24 shown"


def test_what_one_run_gets_right_and_the_other_wrong(vqa, open_page):
    path, (one, two) = vqa
    page = open_page(path)
    expected = {
        str(a["question_id"]) for a, b in zip(one, two, strict=True) if a["score"] >= 0.5 > b["score"]
    }
    assert expected
    chip(page, "only one right").click()
    assert set(ids(page)) == expected
    assert shown(page) == f"{len(expected)} of 24 shown"
    first = page.locator("#browser .item").first
    assert "right" in first.locator(".cell").nth(0).inner_text()
    assert "wrong" in first.locator(".cell").nth(1).inner_text()
    # against a baseline, which is chosen like any run
    page.locator("#browser [data-part=b]").select_option(label="one · question only")
    base = records(path.parent / "one", "test_baseline_question_only")
    expected = {
        str(a["question_id"]) for a, b in zip(one, base, strict=True) if a["score"] >= 0.5 > b["score"]
    }
    chip(page, "only one right").click()
    assert set(ids(page)) == expected


def test_the_comparison_leads_to_its_items(tmp_path, folders, open_page):
    runs = [folders.vqa(tmp_path, "one", items=90, right=0.9), folders.vqa(tmp_path, "two", items=90, seed=1)]
    config = runs[1] / "config.yaml"
    config.write_text(config.read_text().replace("0.01", "0.02"))  # else they are two seeds of one entrant
    found = build_review(runs)
    assert found.comparisons
    page = open_page(write_page(found, tmp_path / "page.html"))
    buttons = page.locator("#comparison [data-predictions*='\"second\"']")
    assert buttons.count() == len(found.comparisons)
    seen = set()
    for number in range(buttons.count()):
        button = buttons.nth(number)
        counted = int(button.locator("xpath=..").locator("strong").evaluate("s => s.textContent"))
        wanted = json.loads(button.get_attribute("data-predictions"))
        seen.add((wanted["run"], wanted["other"]))
        button.evaluate("b => b.closest('details').open = true")
        button.click()
        assert shown(page) == f"{counted} of 90 shown"
        if counted:
            assert page.locator("#browser .item").first.evaluate("i => document.activeElement === i")
        assert 0 <= page.locator("#browser").evaluate("b => b.getBoundingClientRect().top") < 300
        for part, label in (("a", wanted["run"]), ("b", wanted["other"])):
            chosen = page.locator(f"#browser [data-part={part}]").evaluate("s => s.selectedOptions[0].text")
            assert chosen == label
    assert {frozenset(pair) for pair in seen} >= {frozenset(("one", "two"))}
    assert any("question only" in other for _, other in seen)


def test_filters_go_together_and_their_counts_follow(vqa, open_page):
    path, (one, _) = vqa
    page = open_page(path)
    chip(page, "number").click()
    numbers = [record for record in one if record["answer_type"] == "number"]
    assert shown(page) == f"{len(numbers)} of 24 shown"
    right = sum(record["score"] == 1 for record in numbers)
    assert chip(page, "right").first.locator(".count").inner_text() == str(right)
    page.locator("#browser input[type=search]").fill("LINES (5)")
    page.locator("#browser .summary strong", has_text="1 of 24 shown").wait_for()
    assert ids(page) == ["1005"]
    page.locator("#browser input[type=search]").fill("nothing like it")
    page.locator("#browser .nothing").wait_for(state="visible")
    page.get_by_role("button", name="Clear all filters").click()
    assert shown(page) == "24 of 24 shown"


def test_confidence_is_a_range_and_an_order(digits, open_page):
    path, (one, _) = digits
    page = open_page(path)
    page.locator("#browser [data-part=b]").select_option(label="nothing")
    page.locator("#browser input[type=range]").first.fill("0.9")
    sure = [record for record in one if record["top"][0]["probability"] >= 0.9]
    assert shown(page) == f"{len(sure)} of 60 shown"
    page.locator("#browser [data-part=sort]").select_option("confident")
    order = sorted(sure, key=lambda record: -record["top"][0]["probability"])
    assert ids(page)[:5] == [record["id"] for record in order[:5]]
    page.locator("#browser [data-part=sort]").select_option("mistakes")
    wrong = [record["id"] for record in order if not record["correct"]]
    assert ids(page)[: len(wrong)] == wrong


def test_pages_of_items(digits, open_page):
    page = open_page(digits[0])
    assert page.locator("#browser .item").count() == 24
    first = ids(page)
    page.get_by_role("button", name="After →").click()
    assert page.locator("[data-part=where]").inner_text() == "page 2 of 3"
    assert not set(ids(page)) & set(first)
    page.get_by_role("button", name="After →").click()
    assert page.locator("#browser .item").count() == 12
    assert page.get_by_role("button", name="After →").is_disabled()


def test_it_can_be_used_by_keyboard(vqa, open_page):
    page = open_page(vqa[0])
    page.locator("#browser .item").first.scroll_into_view_if_needed()
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.dataset.place") == "0"
    page.keyboard.press("j")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("k")
    assert page.evaluate("document.activeElement.dataset.place") == "1"
    wanted = ids(page)[1:3]
    page.keyboard.press("Enter")
    dialog = page.locator("#browser dialog")
    assert dialog.is_visible()
    assert wanted[0] in dialog.locator(".itemfacts").inner_text()
    assert dialog.locator(".onerun").count() == 4  # two runs and their baselines
    page.keyboard.press("ArrowRight")
    assert wanted[1] in dialog.locator(".itemfacts").inner_text()
    page.keyboard.press("Escape")
    assert not dialog.is_visible()
    assert page.evaluate("document.activeElement.dataset.place") == "2"
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.type") == "search"
    page.keyboard.type("jk")  # letters in the search move nothing
    assert page.locator("#browser input[type=search]").input_value() == "jk"


def test_a_click_opens_an_item_with_its_image_and_all_answers(vqa, open_page):
    path, (one, two) = vqa
    page = open_page(path)
    first = ids(page)[0]
    page.locator("#browser .item").first.click()
    dialog = page.locator("#browser dialog")
    assert dialog.locator(".large img").evaluate("i => i.complete && i.naturalWidth") == 32
    for run, found in (("one", one), ("two", two)):
        record = next(record for record in found if str(record["question_id"]) == first)
        part = dialog.locator(".onerun", has_text=re.compile(f"^{run}\\b")).first
        assert [a.split("\n")[0] for a in part.locator(".answer span[dir]").all_inner_texts()] == [
            answer["answer"] for answer in record["top"]
        ]
    page.locator("#browser .close").click()
    assert not dialog.is_visible()


def test_an_answer_of_few_people_is_partly_right(vqa, open_page):
    path, (_, two) = vqa
    page = open_page(path)
    page.locator("#browser [data-part=a]").select_option(label="two")
    partly = [record for record in two if 0 < record["score"] < 1]
    assert partly
    chip(page, "partly right").click()
    assert set(ids(page)) == {str(record["question_id"]) for record in partly}
    assert "0.9" in page.locator("#browser .item .cell").first.locator(".outcome").inner_text()
    assert (
        page.locator("#browser .item .cell").first.locator(".answer").first.get_attribute("class")
        == "answer partly"
    )


def test_all_runs_side_by_side_and_their_ids(vqa, open_page):
    path, (one, _) = vqa
    page = open_page(path)
    page.locator("#browser [data-part=b]").select_option(label="all of them")
    first = page.locator("#browser .item").first
    assert first.locator(".cell").count() == 4
    assert first.locator(".runname").all_inner_texts()[1] == "one · question only"
    page.reload()
    assert page.locator("#browser .item").first.locator(".cell").count() == 4
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    chip(page, "wrong").first.click()
    page.get_by_role("button", name="copy ids").click()
    page.get_by_role("button", name="copied").wait_for()
    wrong = {str(record["question_id"]) for record in one if record["score"] == 0}
    assert set(page.evaluate("navigator.clipboard.readText()").split("\n")) == wrong


def test_a_link_leads_back_to_what_was_seen(vqa, open_page):
    page = open_page(vqa[0])
    chip(page, "yes/no").click()
    chip(page, "wrong").first.click()
    page.locator("#browser .item").first.click()
    opened = page.locator("#browser dialog .itemfacts").inner_text()
    before = shown(page)
    assert "item=" in page.evaluate("location.hash")
    page.reload()
    assert page.locator("#browser dialog").is_visible()
    assert page.locator("#browser dialog .itemfacts").inner_text() == opened
    assert shown(page) == before
    page.keyboard.press("Escape")
    assert chip(page, "yes/no").get_attribute("aria-pressed") == "true"


def test_each_image_is_in_the_page_once(vqa):
    text = vqa[0].read_text()
    # eight images of four colours and other stripes: two runs have kept the same ones
    assert len(set(re.findall(r"data:image/png;base64,[^\"]+", text))) == 8
    data = json.loads(re.search(r'id="data-predictions">(.*?)</script>', text, re.DOTALL)[1])
    assert len(data["images"]) == 8


def test_a_cell_of_the_confusion_matrix_shows_its_items(digits, open_page):
    path, (one, _) = digits
    page = open_page(path)
    record = next(record for record in one if not record["correct"])
    pair = (record["label"], record["prediction"])
    expected = {r["id"] for r in one if (r["label"], r["prediction"]) == pair}
    page.locator(f"#confusion-view [data-at='{pair[0]},{pair[1]}']").click()
    assert set(ids(page)) == expected
    assert shown(page) == f"{len(expected)} of 60 shown"


def test_the_matrix_of_one_run_minus_another(digits, open_page):
    path, (one, two) = digits
    page = open_page(path)
    page.locator("#confusion-view [data-part=minus]").select_option(label="two")
    right = [sum(r["correct"] and r["label"] == "3" for r in found) for found in (one, two)]
    difference = right[0] - right[1]
    text = page.locator("#confusion-view [data-at='3,3']").inner_text()
    assert text == (f"{difference:+d}" if difference else "")
    page.get_by_role("button", name="% of row").click()
    cell = page.locator("#confusion-view [data-at='3,3']")
    cell.focus()
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.dataset.at").endswith(",3")


def test_many_classes_are_lists(tmp_path, folders, open_page):
    names = [f"class {n}" for n in range(300)]
    run = folders.classification(tmp_path, "many", items=900, classes=names, right=0.5, images=False)
    page = open_page(write(tmp_path / "page.html", run))
    view = page.locator("#confusion-view")
    assert "300 classes" in view.locator("[data-part=note]").inner_text()
    assert view.locator(".heat").count() == 0
    lists = view.locator(".listed")
    assert lists.count() == 2
    recalls = lists.nth(1).locator("tbody tr td:nth-child(3)").all_inner_texts()
    assert [float(text[:-1]) for text in recalls] == sorted(float(text[:-1]) for text in recalls)
    lists.nth(0).get_by_role("button", name="true").click()
    first = lists.nth(0).locator("tbody tr").first
    one, other = first.locator("td").nth(0).inner_text(), first.locator("td").nth(1).inner_text()
    first.locator("button").click()
    expected = sum((r["label"], r["prediction"]) == (one, other) for r in records(run))
    assert page.locator("#browser .item").count() == expected


def test_retrieval_shows_queries_and_what_was_found(tmp_path, folders, open_page):
    runs = [folders.retrieval(tmp_path, "one"), folders.retrieval(tmp_path, "two", seed=1)]
    path = write(tmp_path / "page.html", *runs)
    assert open_page(path, width=390).evaluate("document.documentElement.scrollWidth") <= 390
    page = open_page(path)
    found = records(runs[0], "test_text_to_image")
    page.locator("#browser [data-part=sort]").select_option("order")
    first = page.locator("#browser .item").first
    assert first.locator(".query").inner_text() == found[0]["query"]
    cell = first.locator(".cell").first
    assert cell.locator(".hit img").count() == 5
    marks = [hit.startswith("✓") for hit in cell.locator(".hit figcaption").all_inner_texts()]
    assert marks == [answer["right"] for answer in found[0]["top"]]
    chip(page, "rank 1").first.click()
    assert shown(page) == f"{sum(record['hit'] for record in found)} of 24 shown"
    recall = sum(record["hit"] for record in found) / len(found)
    assert f"{100 * recall:.1f}%" in page.locator("#retrieval table").first.inner_text()
    grid = page.locator("#retrieval-grid")
    assert grid.locator(".queries > li").count() == 6
    query = grid.locator(".queries > li .query").nth(2).inner_text()
    grid.locator(".asking").nth(2).click()
    assert page.locator("#browser dialog h3").inner_text() == query
    page.keyboard.press("Escape")
    grid.locator("[data-part=set]").select_option("1")
    assert grid.locator(".asking img").count() == 6


def test_pictures_of_validations_have_a_slider(tmp_path, folders, open_page):
    page = open_page(write(tmp_path / "page.html", folders.retrieval(tmp_path, "one")))
    view = page.locator("#picture-view")
    view.locator("[data-part=picture]").select_option(label="over the training: text to image")
    assert "step 300" in view.locator("figcaption").inner_text()
    last = view.locator("img").get_attribute("src")
    view.locator("[data-part=step]").fill("0")
    assert "step 100" in view.locator("figcaption").inner_text()
    assert view.locator("img").get_attribute("src") != last
    assert view.locator("img").evaluate("i => i.decode().then(() => i.naturalWidth)") == 64


def test_few_shot_prompts_and_generations(tmp_path, folders, open_page):
    run = folders.generation(tmp_path, "few")
    page = open_page(write(tmp_path / "page.html", run))
    record = next(record for record in records(run) if record["score"] == 0)
    chip(page, "wrong").first.click()
    page.locator("#browser .item", has_text=record["id"]).click()
    dialog = page.locator("#browser dialog")
    assert dialog.locator(".prompt li").count() == 2
    assert dialog.locator(".prompt li img").count() == 2
    assert dialog.locator(".prompt .said").first.inner_text() == record["prompt"][0]["text"]
    assert dialog.locator(".generation").inner_text() == record["generation"]
    assert "navy" in dialog.locator(".references").inner_text()
    assert dialog.locator("h3").inner_text() == record["prompt"][1]["text"]


def test_the_probe_items_over_the_training(vqa, open_page):
    page = open_page(vqa[0])
    rows = page.locator("#probe tbody tr")
    assert rows.count() == 7  # the mean, and six items
    strip = rows.nth(1).locator(".strip").first
    assert strip.locator(".strip-of-cells .validation").count() == 3
    strip.focus()
    assert strip.locator(".history").is_visible()
    assert "step 30" in strip.locator(".history").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_sticks_out_of_the_window(vqa, open_page, scheme, width):
    page = open_page(vqa[0], scheme, width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.locator("#browser .item").first.click()
    assert page.locator("#browser dialog").evaluate("d => d.scrollWidth <= d.clientWidth")
    assert page.locator("#browser .filters input[type=search]").is_visible() == (width > 900)


HOSTILE = (
    "</script><script>document.title='broken'</script>",
    '<img src=x onerror="document.title=1">',
    "\u202eright to left\u202c \u0000\u0007 control",
    "👩‍👩‍👧 family, 한국어, عربى",
    "x" * 100_000,
    "half \ud800 a character",
)


def test_hostile_text_is_shown_as_text(tmp_path, folders, open_page):
    run = folders.vqa(tmp_path, "<b>run</b>", items=6, baseline=False)
    found = records(run)
    for record, text in zip(found, HOSTILE, strict=True):
        record["question"] = record["answer_type"] = text
        record["prediction"] = record["top"][0]["answer"] = text
        record["answers"] = [text] * 10
        record["image"] = text[:200]
    folders.write_predictions(run, "test", found, "vqa", "vqa_accuracy")
    path = write(tmp_path / "page.html", run)
    assert path.stat().st_size < 1_000_000
    page = open_page(path)
    title = page.title()
    page.locator("#browser [data-part=sort]").select_option("order")
    queries = page.locator("#browser .item .query").all_inner_texts()
    assert queries[:2] == list(HOSTILE[:2])
    assert queries[2] == "\\u202eright to left\\u202c \\u0000\\u0007 control"
    assert queries[3] == HOSTILE[3]
    assert queries[4].endswith("… (100,000 characters)")
    assert queries[5] == "half \\ud800 a character"
    page.locator("#browser .item").first.click()
    assert page.locator("#browser dialog script").count() == 0
    page.keyboard.press("Escape")
    assert page.title() == title
    assert page.evaluate("document.documentElement.scrollWidth") <= 1200


def test_what_is_missing_or_damaged_is_said(tmp_path, folders, open_page):
    whole, older = folders.vqa(tmp_path, "whole"), folders.vqa(tmp_path, "older", older=True)
    lost, cut = folders.vqa(tmp_path, "lost"), folders.vqa(tmp_path, "cut")
    for file in (lost / "media" / "items" / "test").iterdir():
        file.unlink()
    (lost / "media" / "probe" / "index.json").write_text("{")
    (lost / "media" / "probe" / "step-20.jsonl").write_text('{"question_id": 1\n')
    (cut / "media" / "items" / "index.json").write_text('{"images": ')
    (cut / "manifest.json").write_text("[]")
    content = (cut / "predictions" / "test.jsonl").read_text()
    (cut / "predictions" / "test.jsonl").write_text(content[: len(content) - 90])
    going = folders.write_run(tmp_path, "going", "vqa", "val/vqa_accuracy", {})
    folders.write_json(going / "status.json", {"status": "running", "host": "elsewhere", "name": "vqa"})
    page = open_page(write(tmp_path / "page.html", whole, older, lost, cut, going))
    said = page.locator("#predictions .gaps").inner_text()
    assert "going: no predictions (it is running" in said
    assert "lost: 8 of 8 kept images are missing" in said
    assert "cut: media/items/index.json is damaged" in said
    assert "older: the run keeps no images" in said
    assert "cut: predictions/test.jsonl: the last line is cut off" in said
    assert "media/probe/index.json is damaged" in page.locator("#probe .gaps").inner_text()
    assert shown(page) == "24 of 24 shown"
    assert page.locator("#browser .item img").count() == 24  # of the whole run


def test_no_predictions_at_all(tmp_path, folders, open_page):
    run = folders.write_run(tmp_path, "bare", "vqa", "val/vqa_accuracy", {})
    page = open_page(write(tmp_path / "page.html", run))
    assert "bare: no predictions" in page.locator("#predictions").inner_text()
    assert page.locator("#confusion, #calibration, #retrieval, #probe").count() == 0
