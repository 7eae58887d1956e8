"""Rules of `make check` that no kept tool knows. Each is shown by tests that plant a violation."""
