"""Sample record sets: what ships in this folder, and the generators that rebuild it."""
