"""Whether a change of code leaves open runs unharmed: by replaying them, and by the shape of a story."""
