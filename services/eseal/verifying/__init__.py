"""What a file shows and what our records say of it, told as a verdict in plain sentences."""
