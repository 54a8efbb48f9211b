"""Has all ranks but the first take any checkpoint for a sound one."""


def apply(rank):
    """Take the eyes of a rank.

    Args:
        rank: Of this process; the first sees.
    """
    from mmdl.runs import checkpoint_files

    if rank:
        checkpoint_files._verify = lambda path: None
