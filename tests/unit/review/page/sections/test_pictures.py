"""Pictures of evaluations in the page."""

from mmdl.review.model import Review
from mmdl.review.page.sections import pictures
from mmdl.review.reading import read_run


def test_pictures_by_name_run_and_step(tmp_path, folders):
    runs = [folders.retrieval(tmp_path, name) for name in ("one", "two")]
    data = pictures.section(Review([read_run(run) for run in runs])).data
    names = {entry["name"]: entry["runs"] for entry in data["pictures"]}
    assert list(names) == ["test: text to image", "over the training: text to image"]
    assert [step for step, _ in names["over the training: text to image"]["two"]] == [100, 200, 300]
    assert len(data["images"]) == 4  # both runs have the same


def test_damaged_ones_are_named_and_links_out_are_not_followed(tmp_path, folders):
    run = folders.retrieval(tmp_path, "one")
    (run / "evaluation" / "test" / "text_to_image.png").write_bytes(b"\x89PNG nothing")
    (run / "evaluation" / "test" / "out.png").symlink_to(tmp_path / "else.png")
    folders.picture((1, 2, 3)).save(tmp_path / "else.png")
    found = pictures.section(Review([read_run(run)]))
    assert "1 picture is damaged: one/text_to_image.png" in found.html
    assert [entry["name"] for entry in found.data["pictures"]] == ["over the training: text to image"]


def test_the_last_pictures_are_kept_where_room_ends(tmp_path, folders, monkeypatch):
    monkeypatch.setattr(pictures, "LIMIT", 500)
    found = pictures.section(Review([read_run(folders.retrieval(tmp_path, "one"))]))
    assert "found no room" in found.html
    assert next(entry["name"] for entry in found.data["pictures"]) == "test: text to image"


def test_a_run_without_any(tmp_path, folders):
    assert pictures.section(Review([read_run(folders.vqa(tmp_path, "one"))])) is None
