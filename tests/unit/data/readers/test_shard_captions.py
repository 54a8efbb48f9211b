import pytest

from mmdl.data.readers.shard_captions import BadCaptions, CaptionFormat


@pytest.mark.parametrize(
    ("form", "content", "captions"),
    [
        (CaptionFormat(), b" a dog\nin the sun \n", ["a dog\nin the sun"]),
        (CaptionFormat(), b"\xef\xbb\xbfa dog", ["a dog"]),
        (CaptionFormat(per_line=True), b"a dog\r\n\n  a cat \n", ["a dog", "a cat"]),
        (CaptionFormat("json"), b'{"caption": "a dog"}', ["a dog"]),
        (
            CaptionFormat("json", field="captions"),
            b'{"captions": ["a dog", " ", "a cat"]}',
            ["a dog", "a cat"],
        ),
    ],
)
def test_captions(form, content, captions):
    assert form.read(content, "a.tar/1") == captions


@pytest.mark.parametrize(
    ("form", "content", "reason"),
    [
        (CaptionFormat(), b"  \n", "empty caption"),
        (CaptionFormat("json"), b'{"caption": []}', "empty caption"),
        (CaptionFormat(), b"caf\xe9", "not UTF-8"),
        (CaptionFormat("json"), b"{", "malformed JSON"),
        (CaptionFormat("json"), b"[" * 100_000, "malformed JSON"),
        (CaptionFormat("json"), b'{"text": "a dog"}', "no caption"),
        (CaptionFormat("json"), b'["a dog"]', "no caption"),
        (CaptionFormat("json"), b'{"caption": [1]}', "no caption"),
    ],
)
def test_bad_captions_are_named(form, content, reason):
    with pytest.raises(BadCaptions) as caught:
        form.read(content, "a.tar/1")
    assert caught.value.reason == reason
    assert "a.tar/1" in str(caught.value)
