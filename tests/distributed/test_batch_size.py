"""What fits on the rank with the least room is what all ranks take, and the samples of a step stay."""

from omegaconf import OmegaConf

WORDS = (
    *("train", "+experiment=vqa", "quick=true", "logger=none", "evaluator=[vqa_accuracy]", "run.id=r"),
    *("data.scenes_train=48", "global_batch_size=64", "trainer.devices=2", "trainer.accelerator=cpu"),
)


def test_ranks_agree_on_what_fits(launch, tmp_path):
    done = launch(tmp_path, (*WORDS, "find_batch_size=true"), "little_memory", ranks=2, limits=[100, 9.5])
    assert done.codes == [0, 0], done.stderr
    assert "8 samples at a time on each of 2 ranks, accumulated 4 times" in done.stderr
    assert "64 in an optimizer step" in done.stderr
    cfg = OmegaConf.load(tmp_path / "runs" / "r" / "config.yaml")
    assert (cfg.data.batch_size, cfg.trainer.accumulate_grad_batches) == (8, 4)
