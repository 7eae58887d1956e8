"""`./onestop keys`: shows a city's key versions, and rotates its keys while it runs."""
