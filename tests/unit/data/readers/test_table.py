"""Own data in JSONL, JSON, CSV and TSV: what is read, and one clear error for every kind of bad input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mmdl.data.readers.table import read_table
from mmdl.data.vqa_index import VQAIndex
from mmdl.errors import UserError


class Table:
    """Writes a table beside two images, and reads it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "images/cats").mkdir(parents=True)
        for name in ("cats/1.jpg", "2.jpg"):
            (folder / "images" / name).touch()

    def read(self, data: str | bytes, name: str = "a.jsonl", **options: Any) -> VQAIndex:
        path = self.folder / name
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        return read_table(path, self.folder / "images", **options)

    def error(self, data: str | bytes, name: str = "a.jsonl", **options: Any) -> str:
        with pytest.raises(UserError) as caught:
            self.read(data, name, **options)
        return str(caught.value)


@pytest.fixture
def table(tmp_path: Path) -> Table:
    return Table(tmp_path)


def line(**changes: Any) -> str:
    row = {"image": "cats/1.jpg", "question": "How many cats?", "answer": "2"} | changes
    return json.dumps({key: value for key, value in row.items() if value is not ...}) + "\n"


GOOD = line() + line(image="2.jpg", answer=..., answers=["yes", "no", "yes"]) + "\n" + line(question="Why?")


def test_jsonl(table: Table) -> None:
    index = table.read(GOOD)
    assert list(index.question_ids) == [0, 2, 1]
    assert list(index.image_ids) == ["cats/1.jpg", "2.jpg"]
    assert list(index.answers) == [["2"], ["2"], ["yes", "no", "yes"]]
    assert list(index.answer_types) == ["number", "number", "yes/no"]
    assert list(index.question_types) == ["how many", "why?", "how many"]
    assert index.image_paths[0] == str(table.folder / "images/cats/1.jpg")


def test_json_list_and_json_lines_in_json(table: Table) -> None:
    rows = [json.loads(row) for row in GOOD.split("\n") if row]
    jsonl = table.read(GOOD).fingerprint
    assert table.read(json.dumps(rows, indent=1), "a.json").fingerprint == jsonl
    assert table.read(GOOD, "b.json").fingerprint == jsonl
    assert table.read(GOOD.replace("\n", "\r\n"), "b.jsonl").fingerprint == jsonl


@pytest.mark.parametrize(("name", "delimiter"), [("a.csv", ","), ("a.csv", ";"), ("a.tsv", "\t")])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_csv(table: Table, name: str, delimiter: str, mark: str) -> None:
    rows = [
        ["question_id", "image", "question", "answers", "comment"],
        ["7", "cats/1.jpg", "How many cats?", "2|2 |two", "a"],
        ["8", "2.jpg", '"Is it ""red""?\nOr blue?"', "yes", ""],
    ]
    index = table.read(mark + "\r\n".join(delimiter.join(row) for row in rows) + "\r\n\r\n", name)
    assert list(index.question_ids) == [7, 8]
    assert index.questions[1] == 'Is it "red"?\nOr blue?'
    assert list(index.answers) == [["2", "2", "two"], ["yes"]]


def test_csv_with_text_ids_and_types(table: Table) -> None:
    head = "image,question,answer,question_id,answer_type,question_type\n"
    data = head + "2.jpg,a?,x|y,007,thing,\n2.jpg,b?,z,8,,what"
    index = table.read(data, "a.csv")
    assert list(index.question_ids) == ["007", "8"]
    assert list(index.answers) == [["x|y"], ["z"]]
    assert list(index.answer_types) == ["thing", "other"]
    assert list(index.question_types) == ["a?", "what"]


def test_ids_given_in_jsonl(table: Table) -> None:
    assert list(table.read(line(question_id="a") + line(question_id=3)).question_ids) == ["a", "3"]


def test_line_separators_inside_a_string(table: Table) -> None:
    row = json.dumps({"image": "2.jpg", "question": "a\u2028b\u0085?", "answer": "x"}, ensure_ascii=False)
    assert table.read(row).questions[0] == "a\u2028b\u0085?"


def test_the_folder_of_the_table_is_the_default(table: Table) -> None:
    table.read(line())
    with pytest.raises(UserError, match="missing image"):
        read_table(table.folder / "a.jsonl")
    (table.folder / "b.jsonl").write_text(line(image="images/2.jpg"))
    assert list(read_table(table.folder / "b.jsonl").image_ids) == ["images/2.jpg"]


def test_image_paths(table: Table) -> None:
    inside = str(table.folder / "images/2.jpg")
    outside = table.folder / "other.jpg"
    outside.touch()
    index = table.read(
        line(image=inside) + line(image="./cats/../2.jpg") + line(image="2.jpg") + line(image=str(outside))
    )
    assert list(index.image_ids) == ["2.jpg", str(outside)]
    assert index.image_offsets.tolist() == [0, 3, 4]
    text = table.error(line(image="../other.jpg") + line(image="a\0b") + line(image=" "))
    assert "line 1: bad image path: '../other.jpg' leaves the folder of images" in text
    assert "line 2: bad image path" in text
    assert "line 3: bad image path" in text


def test_many_images_in_one_folder_are_listed_once(table: Table) -> None:
    for number in range(80):
        (table.folder / f"images/{number}.png").touch()
    data = "".join(line(image=f"{number}.png") for number in range(90)) + line(image="none/1.png")
    index = table.read(data, on_bad_sample="skip")
    assert index.num_images == 80
    assert index.skipped == {"missing image": 11}
    assert table.read(data, check_images=False).num_images == 91


BAD_LINES = [
    ('{"image": }', "malformed JSON: column 11: Expecting value, at '}'", "malformed JSON"),
    ("hello", "malformed JSON: column 1: Expecting value, at 'hello'", "malformed JSON"),
    ("[1]", "wrong type: a list, expected an object", "wrong type"),
    (line(question=..., qestion="a?"), "no 'question'; present: qestion, ", "missing key"),
    (line(image=...), "no 'image'; present: ", "missing key"),
    (line(answer=..., anser="a"), "no 'answer'; present: anser, ", "missing key"),
    (line(answer=3), "an answer is a number, expected a text in quotes", "wrong type"),
    (line(answer=None), "an answer is null", "wrong type"),
    (line(answers=["a"]), "both 'answer' and 'answers'", "wrong type"),
    (line(answer=..., answers="a"), "'answers' is a string, expected a list", "wrong type"),
    (line(answer=..., answers=[]), "'answers' is an empty list", "no answers"),
    (line(answer=" "), "empty answer: ' '", "empty answer"),
    (line(question=""), "empty question: ''", "empty question"),
    (line(question="why " * 10_000), "10,000 words, at most 512", "question too long"),
    (line(question=5), "'question' is a number, expected a string", "wrong type"),
    (line(image=5), "'image' is a number, expected a string", "wrong type"),
    (line(image="3.jpg"), "missing image: ", "missing image"),
    (line(answer_type=5), "'answer_type' is a number", "wrong type"),
]


@pytest.mark.parametrize(("bad", "message", "reason"), BAD_LINES)
def test_bad_line(table: Table, bad: str, message: str, reason: str) -> None:
    data = line() + bad.rstrip("\n") + "\n" + line(image="2.jpg")
    text = table.error(data)
    assert text.startswith(f"{table.folder / 'a.jsonl'}: 1 bad sample (of 3)\n  line 2: {reason}")
    assert message in text
    index = table.read(data, on_bad_sample="skip")
    assert index.skipped == {reason: 1}
    assert list(index.question_ids) == [0, 2]  # numbers are those of the file


def test_ids_are_distinct_and_in_all_rows_or_none(table: Table) -> None:
    assert "line 2: duplicate question id: 1" in table.error(line(question_id=1) + line(question_id="1"))
    assert "line 2: missing key: no 'question_id'" in table.error(line(question_id=1) + line())
    assert "'question_id' is a number, expected an integer" in table.error(line(question_id=1.5))


def test_rows_without_answers_to_predict(table: Table) -> None:
    index = table.read(line(answer=...) + line(), require_answers=False)
    assert list(index.answers) == [[], ["2"]]
    csv = table.read("image,question\n2.jpg,a?\n", "a.csv", require_answers=False)
    assert list(csv.answers) == [[]]


def test_bad_csv(table: Table) -> None:
    head = "image,question,answer\n"
    assert "line 3: wrong number of columns: 4 cells, the header has 3" in table.error(
        head + "2.jpg,a?,x\n2.jpg,a, b?,x\n", "a.csv"
    )
    assert "line 2: missing key: no 'answer'" in table.error(head + "2.jpg,a?,\n", "a.csv")
    assert "line 2: missing key: no 'question'" in table.error(head + "2.jpg,,x\n", "a.csv")
    text = table.error("image,Question,answer\n2.jpg,a?,x\n", "a.csv", on_bad_sample="skip")
    assert "has no column 'question' in its first line\n  valid: columns found: Question, " in text
    assert "has the column 'image' twice" in table.error("image,question,image\na,b,c\n", "a.csv")
    text = table.error(head + '2.jpg,a?,x\n2.jpg,"a?,x\n' + "2.jpg,b?,x\n" * 9, "a.csv")
    assert "the row that begins in line 3 is malformed" in text
    text = table.error(head + '2.jpg,"a\n\nb",x,y\n', "a.csv")
    assert "line 2: wrong number" in text
    assert "empty answer" in table.error("image,question,answers\n2.jpg,a?,x||y\n", "a.csv")


def test_not_utf8(table: Table) -> None:
    data = "image,question,answer\n2.jpg,Où?,là\n"
    text = table.error(data.encode("cp1252"), "a.csv")
    assert "a.csv is not UTF-8: byte 0xf9 at byte offset 29 (line 2)" in text
    assert "iconv -f WINDOWS-1252 -t UTF-8" in text
    assert "mark of UTF-16" in table.error(data.encode("utf-16"), "a.csv")
    assert table.read(data.encode("utf-8-sig"), "a.csv").questions[0] == "Où?"


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.jsonl", "", "is empty"),
        ("a.jsonl", "\n \n", "is empty"),
        ("a.csv", "image,question,answer\n", "has no rows"),
        ("a.json", "[]", "has no rows"),
        ("a.json", '[\n{"image": }]', "malformed JSON in {path}, line 2, column 11"),
        ("a.xlsx", "PK", "unknown kind of table"),
        ("a.json", '{"questions": [],\n "info": {}}', "official VQA format"),
        ("a.jsonl", '{"questions": []}', "data=vqa_v2"),
    ],
)
def test_broken_tables_raise_whatever_the_policy(table: Table, name: str, data: str, message: str) -> None:
    for policy in ("raise", "skip"):
        text = table.error(data, name, on_bad_sample=policy)
        assert message.format(path=table.folder / name) in text


def test_missing_table_and_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"file not found: .*none.csv"):
        read_table(tmp_path / "none.csv")
    with pytest.raises(UserError, match="folder of images not found"):
        read_table(tmp_path / "none.csv", tmp_path / "none")
