"""Rules: one cause each."""
