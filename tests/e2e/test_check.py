import pytest

from mmdl.errors import UserError, UserErrors

QUICK = ("+experiment=vqa", "quick=true")


def test_check_prints_what_a_run_takes(run_command, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_command("check", *QUICK)
    shown = capsys.readouterr().out
    for line in ("parameters", "forward", "memory", "first batch", "splits", "ok"):
        assert line in shown
    assert "images (8, 3, 64, 64) uint8" in shown
    assert list(tmp_path.iterdir()) == []


def test_check_lists_all_errors_of_the_configuration(run_command):
    with pytest.raises(UserErrors) as caught:
        run_command("check", *QUICK, "+model.fusion.chanels=3", "data.batch_size=x", "+trainer.max_epoch=3")
    assert "chanels" in str(caught.value)
    assert "data.batch_size" in str(caught.value)


def test_check_without_an_experiment_says_how_to_choose_one(run_command):
    with pytest.raises(UserErrors) as caught:
        run_command("check")
    assert "no data is chosen" in str(caught.value)
    assert "+experiment=vqa" in str(caught.value)


def test_parameters_and_flops_are_counted(run_command, capsys):
    """A concat-MLP over known sizes: its matrix products are 2 x inputs x outputs each."""
    import torch

    from mmdl.assembly import build_data, build_task
    from mmdl.checking import measure
    from mmdl.cli.app import compose

    cfg = compose("train", [*QUICK, "model/fusion=concat_mlp"]).copy()
    data = build_data(cfg)
    task = build_task(cfg)
    cost = measure(task, data)
    assert cost.parameters == sum(p.numel() for p in task.parameters()) == cost.trainable
    linears = [m for m in task.modules() if isinstance(m, torch.nn.Linear)]
    per_question = sum(2 * m.in_features * m.out_features for m in linears)
    assert cost.flops_per_sample >= per_question
    assert cost.state_bytes == pytest.approx(16 * cost.parameters, rel=0.01)
    assert cost.activation_bytes > 0


def test_a_model_that_takes_another_image_size_is_refused(run_command):
    with pytest.raises(UserError, match="takes 32 x 32 pixels") as caught:
        run_command("check", *QUICK, "model.image_tower.image_size=32")
    assert "data.image_size=32" in str(caught.value)
