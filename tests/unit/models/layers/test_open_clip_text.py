import pytest
import torch

from mmdl.data.tokenizer.open_clip import OpenCLIPTokenizer
from mmdl.models.layers.open_clip_model import load_open_clip
from mmdl.models.layers.open_clip_text import OpenCLIPText

TEXT = {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 2}
TEXTS = ["a red circle", "a blue square left of a green triangle", "!"]


@pytest.fixture
def make(tmp_path):
    """A text tower with random weights."""
    import json

    def build(**changes):
        config = {
            "embed_dim": 32,
            "custom_text": True,
            "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16},
            "text_cfg": TEXT | changes,
        }
        path = tmp_path / "small.json"
        path.write_text(json.dumps(config))
        torch.manual_seed(0)
        return OpenCLIPText(load_open_clip(str(path), None, None, {}).text, "small")

    return build


def lengths_computed(tower, tokens, mask):
    """Embeddings, and how many places the blocks computed."""
    seen = []
    hook = tower.text.transformer.resblocks[0].register_forward_hook(
        lambda module, given, out: seen.append(out.shape[1])
    )
    out = tower(tokens, mask)
    hook.remove()
    return out, seen


def test_texts_are_computed_up_to_the_longest_of_the_batch(make):
    tower = make()
    tokens, mask = OpenCLIPTokenizer("ViT-B-32")(TEXTS)
    found, seen = lengths_computed(tower, tokens, mask)
    assert seen == [int(mask.sum(1).max())] == [10]
    expected = tower.text(tokens)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    found.square().sum().backward()
    short = [p.grad.clone() for p in tower.parameters() if p.grad is not None]
    tower.zero_grad()
    expected.square().sum().backward()
    whole = [p.grad for p in tower.parameters() if p.grad is not None]
    for one, other in zip(short, whole, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    assert tower.text.attn_mask.shape == (77, 77), "the mask is back for the next batch"


@pytest.mark.parametrize("changes", [{"no_causal_mask": True}, {"embed_cls": True}, {"pool_type": "last"}])
def test_towers_that_look_at_the_padding_compute_all_of_it(make, changes):
    tower = make(**changes)
    tokens, mask = OpenCLIPTokenizer("ViT-B-32")(TEXTS)
    tokens, mask = tokens[:, : tower.length], mask[:, : tower.length]
    found, seen = lengths_computed(tower, tokens, mask)
    assert seen[0] >= 77
    torch.testing.assert_close(found, tower.text(tokens))
