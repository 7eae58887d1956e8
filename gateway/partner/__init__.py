"""What a lending partner calls."""
