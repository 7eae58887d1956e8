"""What a seal looks like."""
