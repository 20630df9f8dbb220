"""Screens: they ask and place, nothing else."""
