"""The development authority: what it answers, to whom."""
