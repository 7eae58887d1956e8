"""What people call, signed in."""
