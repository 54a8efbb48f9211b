import torch.distributed as dist

from mmdl.losses.gathering import gathered


def test_one_process_has_nothing_to_gather(make_pairs, tmp_path):
    assert gathered(make_pairs(3, 5)) is None
    dist.init_process_group("gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1)
    try:
        assert gathered(make_pairs(3, 5)) is None
    finally:
        dist.destroy_process_group()
