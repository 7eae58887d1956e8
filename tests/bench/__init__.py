"""`make bench`: what the city can do, side by side with peers and with the machine's own limits."""
