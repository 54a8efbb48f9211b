import io
import tarfile

import pytest

from mmdl.data.readers.tar_shard import sample_key, scan_shard


def scanned(tmp_path, content, caption_file="txt"):
    path = tmp_path / "a.tar"
    path.write_bytes(content)
    scan = scan_shard(path, "a.tar", caption_file)
    for (image, image_size, caption, caption_size), key in zip(scan.spans.tolist(), scan.keys, strict=True):
        assert content[image : image + image_size].startswith((b"\x89PNG", b"\xff\xd8")), key
        assert content[caption : caption + caption_size]
    return scan


def reasons(scan):
    return [(bad.reason, bad.count) for bad in scan.bad]


def test_samples_lie_where_the_table_says(tmp_path, shards):
    content = shards.tar(shards.members(range(5)))
    scan = scanned(tmp_path, content)
    assert scan.keys == ["0000", "0001", "0002", "0003", "0004"]
    assert scan.bad == []
    image, size, caption, length = scan.spans[3].tolist()
    assert content[image : image + size] == shards.picture(3)
    assert content[caption : caption + length] == b"picture number 3"


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_folders_and_links_of_all_tar_formats(tmp_path, form, shards):
    file = io.BytesIO()
    key = "folder/" + "é" * 20 + "n" * (40 if form == tarfile.USTAR_FORMAT else 200)
    with tarfile.open(fileobj=file, mode="w", format=form) as tar:
        for name, kind in (("folder", tarfile.DIRTYPE), ("folder/link.png", tarfile.SYMTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            tar.addfile(info)
        for extension, content in (("png", shards.picture(1)), ("txt", b"a dog")):
            info = tarfile.TarInfo(f"{key}.{extension}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    scan = scanned(tmp_path, file.getvalue())
    assert (scan.keys, scan.bad) == ([key], [])


def test_what_a_sample_lacks(tmp_path, shards):
    content = shards.tar(
        [
            ("1.png", shards.picture(1)),
            ("1.txt", b"fine"),
            ("2.txt", b"no image"),
            ("3.png", shards.picture(3)),
            ("4.png", shards.picture(4)),
            ("4.txt", b""),
            ("5.png", b""),
            ("5.txt", b"empty image"),
            ("6.JPEG", b"\xff\xd8\xff"),
            ("6.txt", b"fine"),
            ("README", b"no extension"),
            (".hidden", b"no name"),
        ]
    )
    scan = scanned(tmp_path, content)
    assert scan.keys == ["1", "6"]
    assert reasons(scan) == [
        ("no image", 1),
        ("no caption", 1),
        ("empty caption", 1),
        ("empty image file", 1),
    ]
    assert scan.bad[0].message == "a.tar/2: no image"


def test_one_key_twice_in_a_row_is_two_samples(tmp_path, shards):
    scan = scanned(tmp_path, shards.tar(shards.members([7]) + shards.members([7])))
    assert scan.keys == ["0007", "0007"]


@pytest.mark.parametrize("content", [b"this is no tar file" * 100, b"<html>404</html>"])
def test_no_tar_file(tmp_path, content):
    scan = scanned(tmp_path, content)
    assert (scan.keys, reasons(scan)) == ([], [("corrupt shard", 1)])
    assert "is no tar file" in scan.bad[0].message


def test_other_shards_without_a_sample(tmp_path, shards):
    assert reasons(scanned(tmp_path, b"")) == [("shard ends early", 1)]
    assert reasons(scanned(tmp_path, shards.tar([]))) == [("empty shard", 1)]
    assert reasons(scanned(tmp_path, b"\x1f\x8b" + bytes(600))) == [("compressed shard", 1)]
    assert reasons(scan_shard(tmp_path / "absent.tar", "absent.tar")) == [("missing shard", 1)]
    assert reasons(scan_shard(tmp_path, "folder")) == [("unreadable shard", 1)]


def test_a_damaged_header_in_the_middle_ends_the_shard(tmp_path, shards):
    content = bytearray(shards.tar(shards.members(range(6))))
    scan = scanned(tmp_path, bytes(content))
    header = scan.spans[3, 0] - 512
    content[header : header + 512] = b"x" * 512
    scan = scanned(tmp_path, bytes(content))
    assert (scan.keys, reasons(scan)) == (["0000", "0001", "0002"], [("corrupt shard", 1)])
    assert f"damaged header at byte {header:,}, after 6 complete files" in scan.bad[0].message


def test_every_place_at_which_a_shard_can_end(tmp_path, shards):
    """Complete samples are used, whatever byte is the last one; the one that was cut is counted."""
    content = shards.tar(shards.members(range(3)))
    whole = scanned(tmp_path, content)
    ends = [int(caption + size) for _, _, caption, size in whole.spans.tolist()]
    for length in range(1, ends[-1] + 200, 97):
        scan = scanned(tmp_path, content[:length])
        assert len(scan.keys) == sum(end <= length for end in ends), length
        lost = [bad for bad in scan.bad if bad.reason == "lost with its shard"]
        assert len(lost) <= 1
        assert reasons(scan)[-1][0] in ("shard ends early", "corrupt shard"), length
    without_end_mark = content[: -(-ends[-1] // 512) * 512]
    assert reasons(scanned(tmp_path, without_end_mark)) == [("shard ends early", 1)]


def test_sample_key():
    assert sample_key("a/b.c.jpg") == ("a/b", "c.jpg")
