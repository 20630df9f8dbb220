"""Which strategy should we run: all of them on the same records, whole, damaged and with modalities missing."""
