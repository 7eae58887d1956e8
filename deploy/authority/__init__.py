"""The development authority: timestamps, and what has become of the certificates that development issues."""
