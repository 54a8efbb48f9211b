import pytest

from mmdl.cli.app import compose
from mmdl.cli.bare_words import bare_words, literal
from mmdl.errors import UserError

TEXTS = [
    "a red circle left of a square", 'say "it"', "it's", '"', "'a'", "a\\", 'a\\"b', "\\\\", "cost ${x}", "\\${run}",
    "${oc.env:HOME}", "${", "$5", "{a:1}", "[1,2]", "a, b", "a = b", "a=b", "null", "5", "true", "line\nbreak", "tab\t",
    "  spaces  ", "a: b", "#no", "~x", "%s", "what?", "größe 漢字 🙂", "!x", "*", "a;b", "(a)", "a|b", "\\n",
]  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
def test_hydra_gives_a_literal_back_unchanged(text):
    assert compose("search", [f"query={literal(text)}"]).query == text


@pytest.mark.parametrize(
    "text", ["a red circle", "color=red", "a = b", "2+2=4", "~ red", "+ 3", "=", "", "x=${y}"]
)
def test_what_is_no_key_is_the_text(text):
    assert bare_words("search", ["top_k=3", text]) == ["top_k=3", f"query={literal(text)}"]


@pytest.mark.parametrize(
    "word", ["top_k=3", "topk=3", "indx=a", "hydra.verbose=true", "+a=1", "~image", "image=a b.jpg", "root=x"]
)
def test_keys_and_slips_stay_overrides(word):
    assert bare_words("search", [word]) == [word]


def test_other_verbs_keep_their_words():
    assert bare_words("train", ["+experiment=vqa", "seed=3", "oops"]) == ["+experiment=vqa", "seed=3", "oops"]


def test_two_texts_are_one_too_many():
    with pytest.raises(UserError, match="2 texts were given: 'a', 'red circle'") as caught:
        bare_words("search", ["a", "red circle"])
    assert caught.value.fix == 'mmdl search "a red circle"'
