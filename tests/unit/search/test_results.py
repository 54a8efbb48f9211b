import json
from pathlib import Path

from mmdl.search.queries import Query
from mmdl.search.results import Found, Hit, json_lines, table

EVIL = "a\x1b[2J\n<b>$x$.png"


def found(name=EVIL, query="say \x07 'x'"):
    hits = [
        Hit(1, name, 0.98765432, Path("/images") / name, True),
        Hit(2, "b.png", -0.1, Path("/images/b.png"), False),
    ]
    return Found(Query(query), hits, ["a remark"])


def test_the_console_gets_one_plain_line_a_hit():
    assert table(found()) == [
        "\"say \\x07 'x'\"",
        "note: a remark",
        "  1   0.9877  a\\x1b[2J\\n<b>$x$.png",
        "  2  -0.1000  b.png  (deleted)",
    ]


def test_json_lines_keep_names_as_they_are():
    rows = [json.loads(line) for line in json_lines([found()]).splitlines()]
    assert rows[0] == {
        "query": "say \x07 'x'",
        "query_type": "text",
        "rank": 1,
        "path": EVIL,
        "similarity": 0.987654,
        "image": f"/images/{EVIL}",
    }
    assert rows[1]["missing"] is True


def test_a_path_that_is_no_unicode_can_be_written():
    text = json_lines([found("\udcff.png")])
    assert json.loads(text.encode().splitlines()[0])["path"] == "\udcff.png"
