"""How much each modality contributes, and how much only together."""
