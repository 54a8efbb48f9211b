"""Gives one rank less memory than the others, and every sample the same size."""


def apply(rank, limits):
    """Every sample takes 1 MB.

    Args:
        rank: Of this process.
        limits: MB that each rank has.
    """
    from mmdl.callbacks import batch_size_finder
    from mmdl.callbacks.batch_size_finder import BatchSizeFinder

    largest = batch_size_finder._largest

    def probe(trainer, task, data):
        return lambda size: largest(trainer, 1e6 * size)

    batch_size_finder._probe = probe
    BatchSizeFinder._budget = lambda self, trainer, task: -largest(trainer, -1e6 * limits[rank])
