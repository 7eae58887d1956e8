"""Fuzzing the readers of what strangers send to be sealed or checked: `make fuzz-eseal`."""
