"""What tests share: a data home, real data where it is there, and runs in this process."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

# A shell starts its background jobs deaf to Ctrl-C, and all that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)

REPO = Path(__file__).resolve().parents[1]
SERVER = REPO / "tests" / "faults" / "server.py"


@pytest.fixture(scope="session")
def repo() -> Path:
    """The checkout."""
    return REPO


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real data; tests that need it are skipped where it is absent."""
    folder = Path(os.environ.get("MMDL_TEST_DATA", REPO.parent / "shared" / "data"))
    if not (folder / "README.md").is_file():
        pytest.skip(f"no real data in {folder} (MMDL_TEST_DATA)")
    return folder


@pytest.fixture(scope="session", autouse=True)
def data_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One data home for the whole session, shared by the processes of pytest-xdist; nothing touches the user's."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "mmdl-data"
    before = {name: os.environ.get(name) for name in ("MMDL_DATA", "WANDB_MODE", "HF_HUB_OFFLINE")}
    os.environ.update(MMDL_DATA=str(folder), WANDB_MODE="offline", HF_HUB_OFFLINE="1")
    yield folder
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch, data_home: Path) -> None:
    """A run's id must not reach the next test, and nothing that ran before turns tests to the user's own data home."""
    monkeypatch.setenv("MMDL_DATA", str(data_home))
    monkeypatch.setenv("MMDL_RUN_ID", "x")
    monkeypatch.delenv("MMDL_RUN_ID")


def run_verb(verb: str, *overrides: str) -> Any:
    """Compose a verb's configuration as the command line would, and run it in this process."""
    import importlib

    from mmdl.cli.app import compose

    os.environ.pop("MMDL_RUN_ID", None)
    try:
        return importlib.import_module(f"mmdl.commands.{verb}").main(compose(verb, list(overrides)))
    finally:
        os.environ.pop("MMDL_RUN_ID", None)


QUICK = ("+experiment=vqa", "quick=true", "logger=none")


@pytest.fixture(scope="session")
def run_command() -> Callable[..., Any]:
    """`run_command("train", "+experiment=vqa", ...)` runs a verb in this process."""
    return run_verb


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A quick VQA run: `root` of the runs, `id`, `path`."""
    root = tmp_path_factory.mktemp("runs")
    run_verb("train", *QUICK, f"run.root={root}", "run.id=one", "trainer.max_epochs=2")
    return SimpleNamespace(root=root, id="one", path=root / "one")


class Launcher:
    """Sends cases to one server, which lives as long as the tests of this process."""

    def __init__(self):
        self.server = None

    def __call__(
        self, folder, words, patch=None, ranks=1, grace=30.0, timeout=240.0, environment=None, **arguments
    ):
        """Run `mmdl WORDS` in a folder, with `patches/PATCH.py` applied to each rank; `arguments` go to it.

        Gives `codes` of the ranks, `code` of the first, `stdout` and `stderr` of the first, `left` and `late`.
        """
        if self.server is None or self.server.poll() is not None:
            self.server = subprocess.Popen(
                [sys.executable, str(SERVER)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=os.environ | {"OMP_NUM_THREADS": "1"},
            )
        folder.mkdir(exist_ok=True, parents=True)
        case = {
            "folder": str(folder),
            "words": [str(word) for word in words],
            "ranks": ranks,
            "patch": [patch, arguments] if patch else None,
            "grace": grace,
            "timeout": timeout,
            "environment": environment or {},
        }
        self.server.stdin.write(json.dumps(case) + "\n")
        self.server.stdin.flush()
        answer = json.loads(self.server.stdout.readline())
        streams = {name: (folder / name).read_text(errors="replace") for name in ("stdout", "stderr")}
        return SimpleNamespace(**answer, code=answer["codes"][0], **streams)

    def close(self):
        if self.server is not None:
            self.server.stdin.close()
            self.server.wait(timeout=60)
            self.server.stdout.close()


@pytest.fixture(scope="session")
def launch(data_home):
    launcher = Launcher()
    yield launcher
    launcher.close()


@pytest.fixture(scope="session")
def folders() -> Any:
    """`folders.vqa(root, "a")` writes a run folder by hand, without a training: see `review_folders.py`."""
    import importlib.util

    spec = importlib.util.spec_from_file_location("review_folders", REPO / "tests" / "review_folders.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def no_browser(reason: str) -> None:
    """Skip with the reason; in CI a missing browser is a failure, so that pages can't go untested unnoticed."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"no browser: {reason}")
    pytest.skip(f"no browser: {reason}")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Headless Chromium of the system, driven by playwright; tests of pages are skipped where it is absent."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="no browser: playwright is not installed")
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        no_browser(f"none of {', '.join(BROWSERS)} is on the PATH (on Debian: apt-get install chromium)")
    with sync_api.sync_playwright() as driver:
        try:
            started = driver.chromium.launch(executable_path=found, args=["--no-sandbox"])
        except sync_api.Error as error:
            no_browser(f"{found} does not start: {error}")
        yield started
        started.close()


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., Any]]:
    """`open_page(path, color_scheme="dark", width=390)` opens a file without network and returns playwright's page.

    The test fails at its end if a page logged an error, threw one, or asked for anything beyond its own file.
    """
    contexts, problems = [], []

    def open_file(path: Path, color_scheme: str = "light", width: int = 1200) -> Any:
        context = browser.new_context(
            color_scheme=color_scheme, viewport={"width": width, "height": 900}, offline=True
        )
        contexts.append(context)
        page = context.new_page()
        address = path.resolve().as_uri()
        page.on("console", lambda m: problems.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on(
            "request",
            lambda r: (
                problems.append(f"request {r.url[:200]}")
                if not r.url.startswith(("data:", address))
                else None
            ),
        )
        page.goto(address)
        return page

    yield open_file
    for context in contexts:
        context.close()
    assert problems == []


@pytest.fixture(scope="session")
def offline_run() -> Any:
    """`offline_run(path)` reads a `.wandb` file back; see `offline_run.py`."""
    import importlib.util

    spec = importlib.util.spec_from_file_location("offline_run", REPO / "tests" / "offline_run.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.OfflineRun
