"""Sweeps: trainings with many settings, each a run of its own, continued where they were interrupted."""
