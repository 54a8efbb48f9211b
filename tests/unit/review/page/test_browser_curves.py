"""Curves of the page of a review in a browser; `open_page` fails on any console error and any request."""

import csv
import io
import json

import numpy as np
import pytest
from PIL import Image

from mmdl.review.page.render import write_page


def scales(page, quantity, name="x"):
    chart = page.locator(f'[data-quantity="{quantity}"]')
    chart.scroll_into_view_if_needed()
    chart.locator("canvas").wait_for()
    return chart.evaluate(f"cell => [cell.chart.plot.scales.{name}.min, cell.chart.plot.scales.{name}.max]")


def column(page, quantity, number):
    """What a chart draws of its line of that number: steps and values."""
    script = """(cell, number) => {
        const [xs, ...lines] = cell.chart.plot.data;
        return xs.flatMap((x, at) => (lines[number][at] == null ? [] : [[x, lines[number][at]]]));
    }"""
    return page.locator(f'[data-quantity="{quantity}"]').evaluate(script, number)


def set_range(page, value):
    page.locator("[data-control=smoothing]").fill(str(value))


def drag(page, quantity, first, last):
    area = page.locator(f'[data-quantity="{quantity}"] .u-over')
    area.scroll_into_view_if_needed()
    box = area.bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + first * box["width"], middle)
    page.mouse.down()
    page.mouse.move(box["x"] + last * box["width"], middle + 2, steps=4)
    page.mouse.up()


def test_a_chart_zooms_by_dragging_and_comes_back(written, open_page):
    page = open_page(written)
    name = "train/loss"
    whole = scales(page, name)
    assert whole == [20, 1200]
    drag(page, name, 0.25, 0.5)
    near = scales(page, name)
    assert near[0] == pytest.approx(20 + 0.25 * 1180, abs=25)
    assert near[1] == pytest.approx(20 + 0.5 * 1180, abs=25)
    reset = page.locator(f'[data-quantity="{name}"]').get_by_role("button", name="Reset zoom")
    assert reset.is_visible()
    reset.click()
    assert scales(page, name) == whole
    assert not reset.is_visible()
    drag(page, name, 0.25, 0.5)
    page.locator(f'[data-quantity="{name}"] .u-over').dblclick()
    assert scales(page, name) == whole


def test_a_rectangle_zooms_both_axes(written, open_page):
    page = open_page(written)
    before = scales(page, "train/loss", "y")
    area = page.locator('[data-quantity="train/loss"] .u-over')
    box = area.bounding_box()
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.5 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.9 * box["height"], steps=4)
    page.mouse.up()
    near = scales(page, "train/loss", "y")
    assert near[1] - near[0] == pytest.approx(0.4 * (before[1] - before[0]), rel=0.05)
    assert scales(page, "train/loss")[1] < 1000
    area.dblclick()
    assert scales(page, "train/loss", "y") == before


def test_charts_zoom_together_when_asked(written, open_page):
    page = open_page(written)
    other = scales(page, "train/grad_norm")
    scales(page, "train/loss")
    drag(page, "train/loss", 0.2, 0.4)
    assert scales(page, "train/grad_norm") == other
    page.locator("[data-control=together]").check()
    drag(page, "train/loss", 0.3, 0.6)
    assert scales(page, "train/grad_norm") == scales(page, "train/loss") != other
    page.locator(".panel-bar").get_by_role("button", name="Reset zoom").click()
    assert scales(page, "train/grad_norm") == other


def test_smoothing_is_the_debiased_mean(written, page_runs, open_page):
    page = open_page(written)
    scales(page, "train/loss")
    raw = [json.loads(line) for line in (page_runs[0] / "metrics.jsonl").read_text().splitlines()]
    losses = [row["train/loss"] for row in raw if "train/loss" in row]
    set_range(page, 0.8)
    drawn = column(page, "train/loss", 5)  # five runs: the sixth line is the smoothed first one
    last, weight = 0.0, 0.0
    for (_, value), loss in zip(drawn, losses, strict=True):
        last, weight = 0.8 * last + 0.2 * loss, 0.8 * weight + 0.2
        assert value == pytest.approx(last / weight, rel=1e-3)
    assert [value for _, value in column(page, "train/loss", 0)] == pytest.approx(losses, rel=1e-3)
    set_range(page, 0)
    lines = page.locator('[data-quantity="train/loss"]').evaluate("cell => cell.chart.plot.data.length")
    assert lines == 1 + 5


def test_logarithmic_axis_leaves_out_what_is_not_positive(written, open_page):
    page = open_page(written)
    scales(page, "train/loss")
    chart = "document.querySelector('[data-quantity=\"train/loss\"]').chart"
    assert page.evaluate(f"{chart}.plot.scales.y.distr") == 1
    page.locator("[data-control=log]").check()
    assert page.evaluate(f"{chart}.plot.scales.y.distr") == 3
    rate = page.locator('[data-quantity="train/learning_rate"]')
    rate.scroll_into_view_if_needed()
    assert "values of 0 and below are left out" in rate.inner_text()  # the schedule ends at 0


def test_times_are_an_axis_too(written, open_page):
    page = open_page(written)
    scales(page, "train/loss")
    page.locator("[data-control=x]").select_option("relative")
    low, high = scales(page, "train/loss")
    assert (low, high) == (0, 1.7 * 1180)
    page.locator("[data-control=x]").select_option("time")
    assert scales(page, "train/loss")[0] == 1_790_000_034


def test_the_legend_switches_lines_by_mouse_and_keyboard(written, open_page):
    page = open_page(written)
    scales(page, "train/loss")

    def shown():
        script = "cell => cell.chart.plot.series.slice(1).map(series => series.show)"
        return page.locator('[data-quantity="train/loss"]').evaluate(script)

    button = page.locator(".legend [data-run='concat']")
    button.click()
    assert shown() == [True, True, False, True, True]
    assert button.get_attribute("aria-pressed") == "false"
    button.focus()
    page.keyboard.press("Enter")
    assert shown() == [True] * 5
    page.keyboard.press("Shift+Enter")
    assert shown() == [False, False, True, False, False]
    page.locator(".legend").get_by_role("button", name="All").click()
    assert shown() == [True] * 5
    page.locator(".legend").get_by_role("button", name="None").click()
    assert shown() == [False] * 5


def test_a_chart_can_be_read_and_zoomed_by_keyboard(written, page_runs, open_page):
    page = open_page(written)
    whole = scales(page, "train/loss")
    cell = page.locator('[data-quantity="train/loss"]')
    cell.locator(".chart-area").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    row = [json.loads(line) for line in (page_runs[0] / "metrics.jsonl").read_text().splitlines()][1]
    said = cell.locator("[aria-live]").inner_text()
    assert said.startswith("step 40: ")
    on_the_page = float(f"{row['train/loss']:.5g}")  # the page holds five digits
    assert f"film {on_the_page:.4g}" in said
    assert "film" in cell.locator(".chart-tip").inner_text()
    page.keyboard.press("End")
    assert cell.locator("[aria-live]").inner_text().startswith("step 1,200: ")
    page.keyboard.press("Shift+ArrowLeft")
    assert cell.locator("[aria-live]").inner_text().startswith("step 1,000: ")
    page.keyboard.press("+")
    near = scales(page, "train/loss")
    assert near[1] - near[0] < 0.6 * (whole[1] - whole[0])
    page.keyboard.press("0")
    assert scales(page, "train/loss") == whole


def test_hovering_shows_the_values_of_all_runs(written, open_page):
    page = open_page(written)
    scales(page, "train/loss")
    area = page.locator('[data-quantity="train/loss"] .u-over')
    box = area.bounding_box()
    area.hover(position={"x": box["width"] * 0.05, "y": 40})
    tip = page.locator('[data-quantity="train/loss"] .chart-tip')
    assert tip.is_visible()
    for name in ("film", "film-seed-1", "concat", "going", "ended"):
        assert name in tip.inner_text()
    area.hover(position={"x": box["width"] * 0.95, "y": 40})
    assert "ended" not in tip.inner_text()  # that run has nothing there


def test_an_enlarged_chart_is_saved(written, page_runs, open_page, tmp_path):
    page = open_page(written)
    scales(page, "train/loss")
    cell = page.locator('[data-quantity="train/loss"]')
    assert not cell.get_by_role("button", name="Save the points").is_visible()
    cell.get_by_role("button", name="Enlarge").click()
    page.locator(".legend [data-run='concat']").click()
    with page.expect_download() as download:
        cell.get_by_role("button", name="Save the points").click()
    assert download.value.suggested_filename == "train-loss.csv"
    rows = list(csv.DictReader(io.StringIO(download.value.path().read_text())))
    assert {row["run"] for row in rows} == {"film", "film-seed-1", "going", "ended"}
    logged = [json.loads(line) for line in (page_runs[0] / "metrics.jsonl").read_text().splitlines()]
    losses = [(row["step"], row["train/loss"]) for row in logged if "train/loss" in row]
    film = [(int(row["step"]), float(row["value"])) for row in rows if row["run"] == "film"]
    assert [step for step, _ in film] == [step for step, _ in losses]
    assert [value for _, value in film] == pytest.approx([value for _, value in losses], rel=1e-4)
    with page.expect_download() as download:
        cell.get_by_role("button", name="Save the picture").click()
    picture = np.asarray(Image.open(download.value.path()).convert("RGB"))
    assert picture.shape[1] > 1000
    assert picture.std() > 2


def test_quantities_are_found_by_words_and_the_monitored_one_is_first(written, open_page):
    page = open_page(written)
    assert page.locator(".panel-cell").first.get_attribute("data-quantity") == "val/vqa_accuracy"
    page.get_by_label("Find quantities").fill("loss VAL")
    visible = page.locator(".panel-cell:visible")
    assert visible.evaluate_all("cells => cells.map(cell => cell.dataset.quantity)") == ["val/loss"]
    page.get_by_label("Find quantities").fill("nothing like that")
    assert page.get_by_text("No quantity has a name like that.").is_visible()


def test_the_theme_is_chosen(written, open_page):
    page = open_page(written, "light")
    surface = "getComputedStyle(document.querySelector('main section')).backgroundColor"
    scales(page, "train/loss")
    light = page.evaluate(surface)
    page.locator("[data-theme-toggle]").click()
    assert page.evaluate(surface) != light
    assert page.evaluate("mmdl.palette.colour('film')") == page.evaluate(
        "mmdl.css(mmdl.palette.of('film').variable)"
    )
    dark = open_page(written, "dark")
    assert dark.evaluate(surface) == page.evaluate(surface)


def test_seeds_are_folded_into_mean_and_deviation(page_runs, make_review, tmp_path, open_page):
    review = make_review(page_runs[:3])
    review.entrants[0].runs = ["film", "film-seed-1"]
    del review.entrants[1]
    page = open_page(write_page(review, tmp_path / "page.html"))
    scales(page, "train/loss")
    page.locator("[data-control=fold]").check()
    assert page.locator(".legend .run").all_inner_texts() == ["film", "concat"]
    losses = []
    for folder in page_runs[:2]:
        rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        losses.append([row["train/loss"] for row in rows if "train/loss" in row])
    mean, deviation = np.mean(losses, axis=0), np.std(losses, axis=0, ddof=1)
    folded = [value for _, value in column(page, "train/loss", 0)]
    assert folded == pytest.approx(mean, rel=1e-4)
    low, high = ([value for _, value in column(page, "train/loss", number)] for number in (2, 3))
    assert low == pytest.approx(mean - deviation, abs=1e-3)
    assert high == pytest.approx(mean + deviation, abs=1e-3)
    page.locator(".legend .run").first.click()
    shown = "cell => cell.chart.plot.series.slice(1).map(series => series.show)"
    assert page.locator('[data-quantity="train/loss"]').evaluate(shown) == [False, True, False, False]
    page.locator("[data-control=fold]").uncheck()
    assert len(page.locator(".legend .run").all()) == 3


def test_a_metric_of_all_nan_and_gaps(make_run, make_review, tmp_path, open_page):
    folder = make_run(tmp_path, "gaps", points=20, more={"train/lost": "nan"})
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    row = json.loads(lines[5])
    row["train/loss"] = "nan"
    lines[5] = json.dumps(row)
    (folder / "metrics.jsonl").write_text("\n".join(lines) + '\n{"step": 900, "tim')
    page = open_page(write_page(make_review([folder]), tmp_path / "page.html"))
    lost = page.locator('[data-quantity="train/lost"]')
    lost.scroll_into_view_if_needed()
    lost.get_by_text("train/lost has no value that is a number.").wait_for()
    scales(page, "train/loss")
    loss = page.locator('[data-quantity="train/loss"]')
    assert "1 point is no finite number: gaps" in loss.inner_text()
    assert len(column(page, "train/loss", 0)) == 19
    page.locator("[data-control=log]").check()
    assert "has no positive values" in lost.inner_text()
