"""What the approval platform calls."""
