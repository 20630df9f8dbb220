"""Attention, as views on what the probes captured. Attention is where a model looks, not why it answers."""
