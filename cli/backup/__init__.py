"""`onestop backup`: the whole city as it stands, taken while it runs."""
