"""The server over HTTP: what it answers, and what it refuses."""

import json
import threading

import pytest
from starlette.testclient import TestClient

from mmdl.review.serve import app, listing, reviews
from mmdl.review.serve.app import make_app


@pytest.fixture
def root(tmp_path, folders):
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "status.json").write_text('{"status": "finished", "name": "TOP SECRET"}')
    (tmp_path / "secret.txt").write_text("TOP SECRET")
    runs = tmp_path / "runs"
    for name, seed in (("a", 0), ("b", 1), ("sweeps/lr/0", 2)):
        folders.vqa((runs / name).parent, name.split("/")[-1], images=False, seed=seed)
    return runs


@pytest.fixture
def client(root, monkeypatch):
    monkeypatch.setattr(listing, "FRESH_S", 0.0)
    return TestClient(make_app(root), base_url="http://127.0.0.1:8470", raise_server_exceptions=False)


EVERY = (
    "/",
    "/assets/list.js",
    "/api/runs",
    "/api/quantities?run=a",
    "/api/curves?run=a&name=val/vqa_accuracy",
)


@pytest.mark.parametrize("address", EVERY)
def test_every_answer_binds_the_browser(client, address):
    answer = client.get(address)
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert "access-control-allow-origin" not in answer.headers


def test_the_page_has_no_script_or_style_of_its_own(client):
    page = client.get("/").text
    assert "<style" not in page
    assert " style=" not in page
    assert all('src="/assets/' in part.split(">")[0] for part in page.split("<script")[1:])
    assert " on" not in page.replace(" on ", "").split("<body>")[0]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"])
@pytest.mark.parametrize("address", ["/", "/api/runs", "/run/a"])
def test_only_reads_are_answered(client, method, address):
    answer = client.request(method, address)
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD"


def test_head_is_get_without_content(client):
    answer = client.head("/api/runs")
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize("host", ["127.0.0.1:8470", "localhost:1234", "LOCALHOST", "[::1]:8470", "127.0.0.1"])
def test_this_machine_under_any_port_is_answered(client, host):
    assert client.get("/api/runs", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "evil.example:8470",
        "127.0.0.1@evil.example",
        "localhost.evil",
        "",
        "0.0.0.0",
        "192.168.0.1",
        "127.0.0.1:x",
        "127.0.0.1:8470\t.evil",
    ],
)
@pytest.mark.parametrize("address", EVERY)
def test_another_name_is_refused(client, host, address):
    answer = client.get(address, headers={"Host": host})
    assert answer.status_code == 421
    assert "vqa" not in answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Origin": "https://127.0.0.1:8470"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "script"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
    ],
)
def test_other_sites_are_refused(client, headers):
    assert client.get("/api/runs", headers=headers).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://127.0.0.1:8470"},
        {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"},
        {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"},
    ],
)
def test_its_own_page_and_a_link_are_answered(client, headers):
    assert client.get("/", headers=headers).status_code == 200


OUTSIDE = (
    *("..", "../secret", "%2e%2e/secret", "..%2fsecret", "..%2Fsecret.txt", "a/../../secret", "..\\secret"),
    *(
        "/etc",
        "%2Fetc%2Fpasswd",
        "a%00",
        "%00",
        "a/config.yaml",
        "a/status.json",
        "a/",
        "a//",
        "%5c..%5csecret",
    ),
    *("sweeps", "sweeps/lr", "C:", "~", "link", "a\u2215b"),
)


@pytest.mark.parametrize("path", OUTSIDE)
def test_nothing_outside_is_reached(client, root, path):
    (root / "link").symlink_to(root.parent / "secret")
    for address in (
        f"/run/{path}",
        f"/assets/{path}",
        f"/assets/../{path}",
        f"/review?run={path}",
        f"/api/curves?name=x&run={path}",
        f"/api/quantities?run={path}",
        f"/{path}",
    ):
        answer = client.get(address)
        assert answer.status_code in (400, 404) or answer.url.path == "/", address
        assert "SECRET" not in answer.text
        assert "root:" not in answer.text


def test_links_inside_a_run_folder_lead_nowhere(client, root):
    metrics, predictions = root / "a" / "metrics.jsonl", root / "b" / "predictions" / "test.jsonl"
    outside = root.parent / "outside.jsonl"
    outside.write_text('{"step": 1, "TOP SECRET": 1}\n')
    for path in (metrics, predictions):
        path.unlink()
        path.symlink_to(outside)
    assert client.get("/api/curves?run=a&name=TOP%20SECRET").json()["curves"] == []
    assert client.get("/api/quantities?run=a").json()["quantities"] == []
    answer = client.get("/run/b")
    assert answer.status_code == 422
    assert "b/predictions/test.jsonl is a link that leads out" in answer.text


def test_the_list_of_runs_and_what_has_changed(client, root):
    first = client.get("/api/runs")
    assert {row["id"] for row in first.json()["rows"]} == {"a", "b", "sweeps/lr/0"}
    assert first.json()["root"] == str(root)
    tag = first.json()["tag"]
    assert first.headers["etag"] == f'"{tag}"'
    assert client.get("/api/runs", params={"since": tag}).status_code == 304
    assert client.get("/api/runs", headers={"If-None-Match": f'"{tag}"'}).status_code == 304
    assert client.get("/api/runs", params={"since": "<script>"}).json()["whole"]


def test_quantities_come_in_order_without_counters(client, root):
    with (root / "a" / "metrics.jsonl").open("a") as handle:
        handle.write('{"step": 50, "time": 1, "train/loss": 1, "epoch": 3, "test/loss": 2}\ndamaged\n')
    found = client.get("/api/quantities?run=a&run=b").json()
    assert [one["name"] for one in found["quantities"]] == ["val/vqa_accuracy", "train/loss"]
    assert found["quantities"][0]["group"] == "Monitored"
    assert found["notes"] == ["a: 1 damaged lines of metrics.jsonl are left out"]


def test_curves_of_several_runs(client, root):
    found = client.get("/api/curves?run=a&run=sweeps/lr/0&name=val/vqa_accuracy").json()
    assert [curve["id"] for curve in found["curves"]] == ["a", "sweeps/lr/0"]
    assert found["curves"][0]["steps"] == [0, 10, 20, 30, 40]
    assert found["curves"][0]["values"][1] == 0.5
    (root / "a" / "metrics.jsonl").unlink()
    found = client.get("/api/curves?run=a&run=b&name=val/vqa_accuracy").json()
    assert ([curve["id"] for curve in found["curves"]], found["without"]) == (["b"], ["a"])


def long(path, count=20_000):
    lines = [json.dumps({"step": n, "time": n, "x": "nan" if n == 5 else n % 7}) for n in range(count)]
    path.write_text("\n".join(lines) + "\n")


def test_curves_are_thinned_and_a_stretch_is_told_in_full(client, root):
    long(root / "a" / "metrics.jsonl")
    found = client.get("/api/curves?run=a&name=x&points=500").json()["curves"][0]
    assert 100 < len(found["steps"]) <= 500
    assert len(found["means"]) == len(found["steps"])
    assert None in found["values"]
    part = client.get("/api/curves?run=a&name=x&points=500&low=1000&high=1100").json()["curves"][0]
    assert part["steps"] == list(range(999, 1102))
    assert "means" not in part
    most = client.get("/api/curves?run=a&name=x&points=999999999").json()["curves"][0]
    assert len(most["steps"]) <= 5000


@pytest.mark.parametrize(
    "query",
    [
        "points=-1",
        "points=x",
        "points=1e9",
        "low=nan",
        "high=inf",
        "low=9&high=1",
        "low=99999",
        "points=" + "9" * 400,
    ],
)
def test_odd_questions_are_answered(client, query):
    assert client.get(f"/api/curves?run=a&name=val/vqa_accuracy&{query}").status_code == 200


def test_no_run_and_too_many_runs_are_refused(client):
    assert client.get("/review").status_code == 400
    assert client.get("/api/curves?" + "&".join(f"run={n}" for n in range(101))).status_code == 400


def test_a_run_that_is_removed_while_it_is_served(client, root):
    import shutil

    assert client.get("/api/quantities?run=b").status_code == 200
    shutil.rmtree(root / "b")
    assert client.get("/api/curves?run=b&name=val/vqa_accuracy").json()["without"] == ["b"]
    assert client.get("/api/curves?run=a&name=val/vqa_accuracy").status_code == 200


def test_a_review_is_made_once_while_nothing_changes(root, monkeypatch):
    made = []
    monkeypatch.setattr(app, "made_page", lambda folders: made.append(folders) or f"<body>{len(folders)}")
    client = TestClient(make_app(root), base_url="http://localhost")
    assert client.get("/run/a").text == "<body>1"
    assert client.get("/review?run=a").text == "<body>1"
    assert client.get("/review?run=a&run=sweeps/lr/0&run=a").text == "<body>2"
    assert made == [[root / "a"], [root / "a", root / "sweeps/lr/0"]]
    (root / "a" / "predictions" / "new.jsonl").write_text("{}\n")
    client.get("/run/a")
    assert len(made) == 3


def test_a_review_runs_no_script_but_those_that_it_names(root, monkeypatch):
    own = "default-src 'none'; script-src 'sha256-abc='"
    meta = '<meta http-equiv="Content-Security-Policy" content="{}">'
    page = f"{meta}<body>{meta}"
    monkeypatch.setattr(
        app, "made_page", lambda folders: page.format(own, "x") if folders[0].name == "a" else "<body>"
    )
    client = TestClient(make_app(root), base_url="http://localhost")
    for run, wanted in (("a", own), ("b", "default-src 'none'; style-src 'unsafe-inline'")):
        policy = client.get(f"/run/{run}").headers["content-security-policy"]
        assert policy == f"{wanted}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


def test_a_review_that_fails_leaves_the_server_up(root, monkeypatch):
    def fail(folders):
        raise RuntimeError("<script>")

    monkeypatch.setattr(app, "made_page", fail)
    client = TestClient(make_app(root), base_url="http://localhost", raise_server_exceptions=False)
    answer = client.get("/run/a")
    assert answer.status_code == 500
    assert answer.headers["content-type"].startswith("text/plain")
    assert client.get("/api/runs").status_code == 200


def test_the_list_is_answered_while_a_review_is_made(root, monkeypatch):
    go_on, begun = threading.Event(), threading.Event()

    def slow(folders):
        begun.set()
        go_on.wait(30)
        return "<body>"

    monkeypatch.setattr(app, "made_page", slow)
    with TestClient(make_app(root), base_url="http://localhost") as client:
        asking = threading.Thread(target=client.get, args=("/run/a",))
        asking.start()
        assert begun.wait(30)
        assert client.get("/api/runs").status_code == 200
        go_on.set()
        asking.join(30)


def test_pages_are_forgotten_when_there_is_no_room(root):
    made = []
    kept = reviews.Reviews(root, lambda folders: made.append(folders) or "x" * 100, room=250)
    for name in ("a", "b", "a", "sweeps/lr/0", "a", "b"):
        kept.page([root / name])
    assert [folders[0].name for folders in made] == ["a", "b", "0", "b"]


def test_hostile_text_leaves_as_json_only(client, root):
    hostile = "</script><script>alert(1)</script>"
    (root / "a" / "status.json").write_text(
        json.dumps({"status": "failed", "name": hostile, "error": hostile})
    )
    (root / hostile.replace("/", "\u2044")).mkdir()
    (root / hostile.replace("/", "\u2044") / "status.json").write_text("{}")
    answer = client.get("/api/runs")
    assert answer.headers["content-type"] == "application/json"
    assert hostile in [row["name"] for row in answer.json()["rows"]]
