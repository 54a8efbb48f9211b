"""The served list of runs in a browser: sort, filter, choose, overlay, open, and follow a run that is killed."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest


def start(root):
    process = subprocess.Popen(
        [sys.executable, "-m", "mmdl", "review", "--serve", "--root", str(root)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    line = process.stdout.readline()
    return SimpleNamespace(process=process, line=line, url=re.search(r"http://127\.0\.0\.1:\d+", line)[0])


HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>"


@pytest.fixture(scope="module")
def root(tmp_path_factory, folders):
    """Twelve runs: scores that rise with their number, two that have failed, one in progress, one with hostile text."""
    root = tmp_path_factory.mktemp("served") / "runs"
    for number in range(12):
        run = folders.vqa(root, f"run-{number}", items=12, images=number == 0, seed=number)
        summary = {"test/vqa_accuracy": {"value": 0.5 + number / 100, "n": 12, "ci95": [0.4, 0.9]}}
        (run / "summary.json").write_text(json.dumps(summary))
    change(root / "run-3", status="failed", error=HOSTILE)
    change(root / "run-4", status="failed", name=HOSTILE)
    change(root / "run-5", status="running", pid=os.getpid(), host=socket.gethostname())
    (root / "run-5" / "progress.json").write_text(json.dumps({"step": 50, "total_steps": 200}))
    return root


def change(run, **values):
    path = run / "status.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.fixture(scope="module")
def server(root, browser):
    served = start(root)
    yield served
    served.process.kill()
    served.process.communicate()


@pytest.fixture
def open_list(browser):
    """Opens a page of a server; the test fails if a page logged an error, or asked for anything beyond the server."""
    contexts, problems = [], []

    def open_page(server, path="/", width=1300, scheme="light"):
        context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("console", lambda m: problems.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("dialog", lambda dialog: problems.append(f"dialog {dialog.message}"))
        page.on(
            "request",
            lambda r: (
                None if r.url.startswith((server.url + "/", "data:")) else problems.append(f"request {r.url}")
            ),
        )
        page.goto(server.url + path)
        if path.startswith(("/#", "/")) and not path.startswith(("/run", "/review")):
            page.wait_for_selector("#rows tr")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert problems == []


def ids(page):
    return page.eval_on_selector_all("#rows tr", "rows => rows.map(row => row.dataset.run)")


def head(page, key):
    return page.locator(f'#heads [data-key="{key}"] button')


def test_sort_by_click_and_by_key_and_after_a_reload(server, open_list):
    page = open_list(server)
    head(page, "metric").click()
    assert ids(page)[:2] == ["run-11", "run-10"]
    assert page.get_attribute('#heads [data-key="metric"]', "aria-sort") == "descending"
    head(page, "metric").press("Enter")
    assert ids(page)[:3] == ["run-0", "run-1", "run-2"]
    head(page, "id").press("Space")
    assert ids(page) == [f"run-{number}" for number in range(12)]
    page.reload()
    page.wait_for_selector("#rows tr")
    assert ids(page) == [f"run-{number}" for number in range(12)]


def test_filter_by_text_and_state_is_kept_in_the_address(server, open_list):
    page = open_list(server)
    page.keyboard.press("/")
    page.keyboard.type("RUN-1 vqa")
    assert sorted(ids(page)) == ["run-1", "run-10", "run-11"]
    assert page.inner_text("#count") == "3 of 12 runs"
    page.keyboard.type(" seed:10")
    assert ids(page) == ["run-10"]
    page.keyboard.press("Escape")
    page.click('[data-state="failed"]')
    assert sorted(ids(page)) == ["run-3", "run-4"]
    assert page.get_attribute('[data-state="failed"]', "aria-pressed") == "true"
    again = open_list(server, "/" + page.url.removeprefix(server.url + "/"))
    assert sorted(ids(again)) == ["run-3", "run-4"]
    again.fill("#filter", "nothing like it")
    assert "No run is like that" in again.inner_text("#none")
    again.click("text=Show all")
    assert len(ids(again)) == 12


def test_a_row_says_score_interval_progress_and_time_left(server, open_list):
    page = open_list(server)
    words = page.inner_text('tr[data-run="run-7"]')
    for wanted in ("finished", "0.5700", "0.4000 to 0.9000", "test/vqa_accuracy, n = 12", "7"):
        assert wanted in words
    words = page.inner_text('tr[data-run="run-5"]')
    assert "25%" in words
    assert "left" in words or "no sign of life" in words
    assert page.eval_on_selector('tr[data-run="run-5"] progress', "bar => bar.value") == 0.25


def test_text_of_runs_is_shown_as_text(server, open_list):
    page = open_list(server)
    assert HOSTILE in page.inner_text('tr[data-run="run-4"]')
    assert HOSTILE in page.inner_text('tr[data-run="run-3"]')
    assert page.locator("#rows img, #rows script").count() == 0


def curves(page):
    """Of each chart that is drawn: title and ids of its curves."""
    return page.evaluate(
        "() => Object.fromEntries([...document.querySelectorAll('.panel-cell')].filter(c => c.chart?.plot)"
        ".map(c => [c.chart.title, c.chart.curves.map(curve => curve.id)]))"
    )


def wait_for_curves(page, wanted):
    page.wait_for_function(
        "wanted => JSON.stringify([...document.querySelectorAll('.panel-cell')].filter(c => c.chart?.plot)"
        ".map(c => c.chart.curves.map(curve => curve.id))[0] ?? []) === JSON.stringify(wanted)",
        arg=wanted,
    )


def test_choose_by_keyboard_and_overlay_their_curves(server, open_list):
    page = open_list(server, "/#sort=id")
    page.keyboard.press("/")
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.dataset.run") == "run-0"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Shift+Space")
    wait_for_curves(page, ["run-1", "run-2", "run-3"])
    assert curves(page) == {"val/vqa_accuracy": ["run-1", "run-2", "run-3"]}
    assert page.get_attribute('tr[data-run="run-2"]', "aria-selected") == "true"
    assert page.inner_text("#overlay-title") == "Curves of 3 runs"
    assert page.get_attribute("#review", "href") == "/review?run=run-1&run=run-2&run=run-3"
    page.check('[data-control="log"]')
    page.fill('#panel input[type="search"]', "nothing")
    assert page.is_visible(".panel-none")
    page.focus('tr[data-run="run-3"]')
    page.keyboard.press("Escape")
    assert page.is_hidden("#panel")
    assert page.locator('[aria-selected="true"]').count() == 0


def test_a_zoom_brings_the_points_that_were_left_out(server, root, open_list):
    lines = [json.dumps({"step": n, "time": 1e9 + n, "train/loss": (n * 7919) % 1000}) for n in range(20_000)]
    path = root / "run-2" / "metrics.jsonl"
    kept = path.read_text()
    path.write_text("\n".join(lines) + "\n")
    page = open_list(server, "/#run=run-2")
    chart = "document.querySelector('.panel-cell')?.chart"
    page.wait_for_function(f"() => {chart}?.plot")
    few = page.evaluate(f"{chart}.curves[0].steps.length")
    assert few <= 700
    page.evaluate(f"{chart}.zoomTo({{ min: 5000, max: 5400 }})")
    page.wait_for_function(f"() => {chart}.curves[0].steps.length > {few}")
    steps = page.evaluate(f"{chart}.curves[0].steps")
    assert steps == sorted(set(steps))
    assert [step for step in steps if 5000 <= step <= 5400] == list(range(5000, 5401))
    assert (steps[0], steps[-1]) == (0, 19_999)
    assert page.evaluate(f"{chart}.zoomed") == {"min": 5000, "max": 5400}
    for name in ("values", "times", "means"):
        assert page.evaluate(f"{chart}.curves[0].{name}.length") == len(steps)
    path.write_text(kept)


def test_focus_and_choice_outlive_news(server, root, open_list):
    page = open_list(server, "/#sort=id")
    page.click('tr[data-run="run-6"] .pick')
    wait_for_curves(page, ["run-6"])
    page.focus('tr[data-run="run-8"]')
    before = page.evaluate("(window.kept = document.activeElement).dataset.run")
    change(root / "run-9", status="stopped")
    page.wait_for_selector('tr[data-run="run-9"] .badge.stopped')
    assert before == "run-8"
    assert page.evaluate("document.activeElement === window.kept")
    assert page.is_checked('tr[data-run="run-6"] input')
    change(root / "run-9", status="finished")


def test_a_run_that_is_removed_leaves_list_and_choice(server, root, open_list):
    page = open_list(server, "/#run=run-11&run=run-10")
    wait_for_curves(page, ["run-11", "run-10"])
    (root / "run-11").rename(root.parent / "run-11")
    page.wait_for_selector('tr[data-run="run-11"]', state="detached")
    wait_for_curves(page, ["run-10"])
    (root.parent / "run-11").rename(root / "run-11")
    page.wait_for_selector('tr[data-run="run-11"]')


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_narrow_screen_scrolls_down_only(server, open_list, scheme):
    page = open_list(server, "/#run=run-1", width=390, scheme=scheme)
    wait_for_curves(page, ["run-1"])
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.select_option("#sort", "metric-")
    assert ids(page)[0] == "run-11"
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", colour))) < 200) == (scheme == "dark")


def test_enter_opens_the_review_of_a_run(server, open_list):
    page = open_list(server, "/#sort=id")
    page.focus('tr[data-run="run-0"]')
    page.keyboard.press("Enter")
    page.wait_for_url("**/run/run-0")
    assert "run-0" in page.inner_text("h1")
    page.click("text=All runs")
    page.wait_for_selector("#rows tr")


def test_chosen_runs_are_compared(server, open_list):
    page = open_list(server, "/review?run=run-0&run=run-1")
    text = page.inner_text("main")
    assert "run-0" in text
    assert "run-1" in text


def wait_for(condition, seconds=60):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_an_empty_folder_is_followed_and_a_lost_server_is_said(browser, tmp_path, folders):
    root = tmp_path / "runs"
    root.mkdir()
    served = start(root)
    page = browser.new_page()
    page.goto(served.url)
    page.wait_for_selector("#none:not([hidden])")
    assert "python -m mmdl train" in page.inner_text("#none")
    folders.vqa(root, "first", images=False)
    page.wait_for_selector('tr[data-run="first"]')
    served.process.send_signal(signal.SIGINT)
    out, err = served.process.communicate(timeout=60)
    assert served.process.returncode == 130
    assert (out, err) == ("", "interrupted\n")
    page.wait_for_selector("#link.lost")
    page.close()


SLOW = """
import sys
from pathlib import Path
from threading import Event
from mmdl import __main__ as command
from mmdl.review.serve import app
app.made_page = lambda folders: print("begun", flush=True) or Event().wait()
command.dispatch = lambda words: app.serve(Path(words[0]))
sys.exit(command.main())
"""


def test_ctrl_c_does_not_wait_for_a_review_that_is_being_made(root):
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW, str(root)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    port = int(re.search(r"http://127\.0\.0\.1:(\d+)", process.stdout.readline())[1])
    with socket.create_connection(("127.0.0.1", port)) as asking:
        asking.sendall(b"GET /run/run-0 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGINT)
        try:
            assert process.communicate(timeout=60) == ("", "interrupted\n")
        finally:
            process.kill()
    assert process.returncode == 130


@pytest.mark.slow
def test_a_training_shows_up_grows_and_is_kept_when_it_is_killed(browser, tmp_path):
    root = tmp_path / "runs"
    root.mkdir()
    served = start(root)
    page = browser.new_page()
    page.goto(served.url)
    training = subprocess.Popen(
        [
            *(sys.executable, "-m", "mmdl", "train", "+experiment=vqa", "quick=true", "logger=none"),
            *("trainer.max_epochs=100000", "trainer.log_every_n_steps=5", f"run.root={root}", "run.id=mine"),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for((root / "mine" / "status.json").is_file, 240)
        begun = time.monotonic()
        page.wait_for_selector('tr[data-run="mine"] .badge.running', timeout=60_000)
        shown = time.monotonic() - begun
        page.click('tr[data-run="mine"] .pick')
        read = "() => document.querySelector('.panel-cell')?.chart?.curves[0]?.steps.length ?? 0"
        page.wait_for_function(f"() => ({read})() > 2", timeout=120_000)
        some = page.evaluate(read)
        page.wait_for_function(f"() => ({read})() > {some}", timeout=60_000)
        training.kill()
        training.wait()
        page.wait_for_selector('tr[data-run="mine"] .badge.killed', timeout=60_000)
    finally:
        training.kill()
        training.wait()
    lines = [json.loads(line) for line in (root / "mine" / "metrics.jsonl").read_text().split("\n")[:-1]]
    logged = [line["step"] for line in lines if "val/vqa_accuracy" in line]
    page.reload()
    page.wait_for_function(f"() => ({read})() > 2", timeout=60_000)
    assert page.evaluate("document.querySelector('.panel-cell').chart.curves[0].steps.at(-1)") == logged[-1]
    best = max(line["val/vqa_accuracy"] for line in lines if "val/vqa_accuracy" in line)
    assert f"{best:.4f}" in page.inner_text('tr[data-run="mine"]')
    page.close()
    served.process.kill()
    served.process.communicate()
    assert shown < 30  # a poll of 2 s, on a machine that may be busy with anything
