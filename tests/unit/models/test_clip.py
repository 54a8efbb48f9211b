import json
import math

import open_clip
import pytest
import torch
from safetensors.torch import save_file

from mmdl.batch import ImageTextBatch
from mmdl.callbacks.checkpoints import write_weights
from mmdl.errors import UserError
from mmdl.losses.infonce import infonce
from mmdl.losses.pairs import Pairs
from mmdl.models.clip import CLIP
from mmdl.models.layers.architecture import own_architectures
from mmdl.optim.groups import freeze, parameter_groups

TEXTS = ["a red circle left of a square", "two small blue squares", "nothing"]


def batch_of(model, length=None):
    torch.manual_seed(1)
    size = model.image_size
    ids = open_clip.get_tokenizer("ViT-B-32")(TEXTS, context_length=length or model.text_tower.length)
    return ImageTextBatch(
        rows=torch.arange(2),
        image_ids=torch.arange(2),
        caption_rows=torch.arange(3),
        image_index=torch.tensor([0, 0, 1]),
        images=torch.randint(0, 256, (2, 3, size, size), dtype=torch.uint8),
        tokens=ids,
        token_mask=ids != 0,
    )


def theirs(model, batch):
    """Embeddings of open_clip's own model on the same pixels and ids."""
    config = model.visual.preprocess_cfg
    mean, std = (torch.tensor(config[key]).view(3, 1, 1) for key in ("mean", "std"))
    with torch.no_grad():
        return (
            model.encode_image((batch["images"] / 255 - mean) / std, normalize=True),
            model.encode_text(batch["tokens"], normalize=True),
        )


@pytest.mark.parametrize(
    "name", ["tiny-vit", "tiny-vit-quickgelu", "tiny-bidirectional", "tiny-resnet", "tiny-timm"]
)
def test_equals_open_clip_with_weights_of_a_file(name, tiny_clip, tmp_path, assert_partition):
    reference = tiny_clip(name)
    with torch.no_grad():
        reference.logit_scale.fill_(3.0)
    save_file(reference.state_dict(), tmp_path / "weights.safetensors")
    model = CLIP(name, pretrained=str(tmp_path / "weights.safetensors"), vocab_size=49408).eval()
    batch = batch_of(model)
    with torch.no_grad():
        found = model(batch)
    for ours, expected in zip(found, theirs(reference, batch), strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-6)
    assert model.logit_scale.item() == 3.0
    names = assert_partition(model)
    assert names[0] == "image_tower.stem"
    assert names[-1] == "logit_scale"
    assert {name.split(".")[0] for name in names} == {"image_tower", "text_tower", "logit_scale"}
    state = model.open_clip_state_dict()
    assert state.keys() == reference.state_dict().keys()
    assert all(torch.equal(state[key], value) for key, value in reference.state_dict().items())


@pytest.mark.parametrize("name", sorted(own_architectures()))
def test_own_architectures_learn_with_any_tokenizer(name):
    torch.manual_seed(0)
    model = CLIP(name, context_length=9, vocab_size=20)
    assert model.image_size == 64
    batch = batch_of(model)
    batch["tokens"] = torch.randint(1, 20, (3, 9)) * (torch.arange(9) < torch.tensor([[9], [4], [1]]))
    image, text = model(batch)
    assert image.shape == (2, 128)
    assert text.shape == (3, 128)
    (image @ text.T).square().sum().backward()
    lacking = [n for n, p in model.named_parameters() if p.grad is None]
    assert lacking == ["logit_scale"]
    assert sum(p.numel() for p in model.parameters()) < 4e6


@pytest.mark.parametrize("name", sorted(own_architectures()))
def test_own_architectures_tell_eight_pairs_apart(name):
    torch.manual_seed(0)
    model = CLIP(name, context_length=8, vocab_size=50).train()
    images, ids = torch.randint(0, 256, (8, 3, 64, 64), dtype=torch.uint8), torch.randint(1, 50, (8, 8))
    batch, pairs, losses = ImageTextBatch(images=images, tokens=ids, token_mask=ids > 0), torch.arange(8), []
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for _ in range(14):
        loss = infonce(Pairs(*model(batch), pairs, pairs), model.logit_scale.exp())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] > 1.8  # about ln 8
    assert losses[-1] < 0.7


def test_siglip_has_a_bias_and_keeps_it(tiny_clip, tmp_path):
    model = CLIP("tiny-vit", init_scale=10.0, init_bias=-10.0)
    assert model.logit_scale.item() == pytest.approx(math.log(10.0))
    assert model.logit_bias.item() == -10.0
    assert model.config["init_logit_bias"] == -10.0
    assert CLIP("tiny-vit").logit_bias is None
    state = tiny_clip("tiny-vit").state_dict()
    save_file(state, tmp_path / "clip.safetensors")
    tuned = CLIP("tiny-vit", str(tmp_path / "clip.safetensors"), init_bias=-10.0)
    assert tuned.logit_bias.item() == -10.0
    assert tuned.logit_scale.item() == pytest.approx(math.log(1 / 0.07))


def test_sizes_of_a_new_model_are_chosen(tiny_clip):
    model = CLIP("tiny-vit", context_length=8, embed_dim=10, image_size=64)
    assert (model.embed_dim, model.image_size) == (10, 64)
    assert model.text_tower.text.positional_embedding.shape == (8, 16)
    image, text = model(batch_of(model))
    assert image.shape[1] == text.shape[1] == 10
    assert model.config["text_cfg"]["context_length"] == 8
    assert model.config["vision_cfg"]["image_size"] == 64


def test_pretrained_causal_texts_are_shortened_exactly(tiny_clip, tmp_path):
    save_file(tiny_clip("tiny-vit").state_dict(), tmp_path / "w.safetensors")
    whole = CLIP("tiny-vit", str(tmp_path / "w.safetensors")).eval()
    short = CLIP("tiny-vit", str(tmp_path / "w.safetensors"), context_length=10).eval()
    batch, shorter = batch_of(whole), batch_of(short)
    assert shorter["tokens"].shape[1] == 10
    with torch.no_grad():
        expected = whole.encode_texts(batch["tokens"], batch["token_mask"])
        found = short.encode_texts(shorter["tokens"], shorter["token_mask"])
    torch.testing.assert_close(found, expected)
    assert short.text_tower.text.positional_embedding.shape == (12, 16)
    with pytest.raises(UserError, match="texts have 12 tokens, and 'tiny-vit' computes 10"):
        short.encode_texts(batch["tokens"], batch["token_mask"])


def test_a_hugging_face_text_tower(tmp_path):
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        vocab_size=30, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=16,
    )  # fmt: skip
    config.save_pretrained(tmp_path / "bert")
    architecture = {
        "embed_dim": 24,
        "vision_cfg": {"image_size": 32, "layers": 1, "width": 16, "head_width": 8, "patch_size": 8},
        "text_cfg": {"hf_model_name": str(tmp_path / "bert"), "hf_pooler_type": "mean_pooler", "width": 16},
    }
    (tmp_path / "arch.json").write_text(json.dumps(architecture))
    model = CLIP(str(tmp_path / "arch.json"), context_length=9, vocab_size=30).eval()
    ids = torch.tensor([[2, 7, 8, 3, 0, 0, 0, 0, 0]])
    with torch.no_grad():
        found = model.encode_texts(ids, ids != 0)
        expected = torch.nn.functional.normalize(model.text_tower.text(ids), dim=-1)
        torch.testing.assert_close(found, expected)
        torch.testing.assert_close(model.encode_texts(ids[:, :4], ids[:, :4] != 0), expected)
    names = [group.name for group in model.layer_groups()]
    assert "text_tower.encoder.layer.1" in names
    with pytest.raises(UserError, match="the tokenizer has 59 ids"):
        CLIP(str(tmp_path / "arch.json"), vocab_size=59)


def test_coca_trains_its_encoders_only(tmp_path):
    tower = {"width": 16, "heads": 2, "layers": 1, "context_length": 8, "vocab_size": 49408}
    architecture = {
        "embed_dim": 16,
        "custom_text": True,
        "vision_cfg": {
            "image_size": 32, "layers": 1, "width": 16, "head_width": 8, "patch_size": 8,
            "attentional_pool": True, "attn_pooler_heads": 2, "attn_pooler_queries": 4, "output_tokens": True,
        },
        "text_cfg": {**tower, "embed_cls": True, "output_tokens": True},
        "multimodal_cfg": {**tower, "attn_pooler_heads": 2},
    }  # fmt: skip
    (tmp_path / "coca.json").write_text(json.dumps(architecture))
    model = CLIP(str(tmp_path / "coca.json"), context_length=8).train()
    image, text = model(batch_of(model))
    (image @ text.T).sum().backward()
    assert all(p.grad is None and not p.requires_grad for p in model.text_decoder.parameters())
    assert not model.text_decoder.training
    held = [id(p) for group in model.layer_groups() for p in group.parameters()]
    assert sorted(held) == sorted(id(p) for p in model.parameters())
    assert any(key.startswith("text_decoder.") for key in model.open_clip_state_dict())


def step(model, batch):
    """The parameters that one step of SGD changes, and the buffers."""
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.train()
    optimizer = torch.optim.SGD(parameter_groups(model, 0.1, 0.0), lr=0.1)
    image, text = model(batch)
    (model.logit_scale.exp() * image @ text.T).square().sum().backward()
    optimizer.step()
    return {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}


@pytest.mark.parametrize("tower", ["image_tower", "text_tower"])
@pytest.mark.parametrize("name", ["tiny-vit", "tiny-resnet"])
def test_a_locked_tower_does_not_change_by_a_bit(name, tower, tiny_clip):
    torch.manual_seed(0)
    model = CLIP(name)
    freeze(model, [f"{tower}*"])
    changed = step(model, batch_of(model))  # the ResNet's batch statistics are buffers
    assert not getattr(model, tower).training
    assert changed
    assert not [key for key in changed if key.startswith(tower)]
    other = "text_tower" if tower == "image_tower" else "image_tower"
    assert any(key.startswith(other) for key in changed)


@pytest.mark.parametrize("unlocked", [2, 3])
def test_the_last_groups_are_those_that_open_clip_unlocks(unlocked, tiny_clip):
    model = CLIP("tiny-vit")
    freeze(model, [], {"image_tower*": unlocked, "text_tower*": 0})
    reference = tiny_clip("tiny-vit")
    reference.lock_image_tower(unlocked_groups=unlocked)
    expected = {
        name for name, p in reference.named_parameters() if name.startswith("visual.") and p.requires_grad
    }
    ours = dict(model.named_parameters())
    found = {
        name.removeprefix("image_tower.")
        for name, p in ours.items()
        if name.startswith("image_tower.") and p.requires_grad
    }
    # open_clip counts ln_post to the last block and the projection alone: from two groups on the sets are equal
    assert found == expected
    assert not any(p.requires_grad for name, p in ours.items() if name.startswith("text_tower"))
    model.train()
    blocks = model.image_tower.visual.transformer.resblocks
    assert [block.training for block in blocks] == [unlocked == 3, True]
    assert not model.image_tower.visual.conv1.training


def test_rates_by_tower_and_by_layer(tiny_clip):
    model = CLIP("tiny-vit")
    groups = parameter_groups(model, 1.0, 0.1, {"image_tower*": 0.1}, layer_decay=0.5)
    rate = {
        name: group["lr"] for group in groups for name in group["name"].replace(".vectors", "").split("+")
    }
    assert rate == {
        "image_tower.neck": pytest.approx(0.1),
        "image_tower.transformer.resblocks.1": pytest.approx(0.05),
        "image_tower.transformer.resblocks.0": pytest.approx(0.025),
        "image_tower.stem": pytest.approx(0.0125),
        "text_tower.neck": 1.0,
        "text_tower.transformer.resblocks.1": 0.5,
        "text_tower.transformer.resblocks.0": 0.25,
        "text_tower.stem": 0.125,
        "logit_scale": 1.0,
    }
    decay = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    assert decay[id(model.logit_scale)] == 0.0


@pytest.mark.parametrize("name", ["tiny-vit", "tiny-resnet", "vit_tiny_64"])
def test_bfloat16_and_channels_last(name, tiny_clip):
    torch.manual_seed(0)
    model = CLIP(name).to(memory_format=torch.channels_last)
    batch = batch_of(model)
    model.eval()
    plain = model(batch)
    with torch.autocast("cpu", torch.bfloat16):
        found = model(batch)
    for ours, expected in zip(found, plain, strict=True):
        assert ours.dtype == torch.float32
        assert torch.nn.functional.cosine_similarity(ours, expected).min() > 0.99


@pytest.mark.slow
def test_compiled_equals_plain():
    torch.manual_seed(0)
    model = CLIP("vit_tiny_64").eval()
    batch = batch_of(model)
    plain = model(batch)
    model.compile()
    for ours, expected in zip(model(batch), plain, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5)


def test_a_checkpoint_of_another_activation_is_refused(tiny_clip):
    state = CLIP("tiny-vit-quickgelu").state_dict()
    with pytest.raises(UserError, match="another architecture than 'tiny-vit' now is"):
        CLIP("tiny-vit").load_state_dict(state)
    CLIP("tiny-vit-quickgelu").load_state_dict(state)
    with pytest.raises(UserError, match="another architecture"):
        CLIP("tiny-vit-quickgelu", mean=[0.5, 0.5, 0.5]).load_state_dict(state)


def test_another_tokenizer_is_refused(tiny_clip, tmp_path):
    with pytest.raises(
        UserError, match="the tokenizer has 59 ids, but 'tiny-vit' finds the end of a text by"
    ) as e:
        CLIP("tiny-vit", vocab_size=59)
    assert "vit_tiny_64" in e.value.valid
    save_file(tiny_clip("tiny-bidirectional").state_dict(), tmp_path / "w.safetensors")
    with pytest.raises(
        UserError, match="the tokenizer has 59 ids, but open_clip's 'tiny-bidirectional' was built"
    ):
        CLIP("tiny-bidirectional", str(tmp_path / "w.safetensors"), vocab_size=59)
    assert CLIP("tiny-bidirectional", vocab_size=59).text_tower.text.vocab_size == 59


def test_sizes_that_the_weights_do_not_have_are_refused(tiny_clip, tmp_path):
    save_file(tiny_clip("tiny-vit").state_dict(), tmp_path / "w.safetensors")
    file = str(tmp_path / "w.safetensors")
    with pytest.raises(UserError, match="embed_dim=10, but the weights of 'tiny-vit' project to 24"):
        CLIP("tiny-vit", file, embed_dim=10)
    with pytest.raises(UserError, match="context_length=20: 'tiny-vit' needs its 12 tokens"):
        CLIP("tiny-vit", file, context_length=20)
    with pytest.raises(UserError, match="does not fit open_clip's 'tiny-resnet'"):
        CLIP("tiny-resnet", file)


def test_weights_of_a_run_are_told_apart(tiny_clip, tmp_path):
    write_weights(
        {f"model.{key}": t for key, t in CLIP("tiny-vit").state_dict().items()}, tmp_path / "best.safetensors"
    )
    with pytest.raises(UserError, match="holds the weights of an mmdl run") as error:
        CLIP("tiny-vit", str(tmp_path / "best.safetensors"))
    assert "mmdl export" in error.value.fix
