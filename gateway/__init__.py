"""The HTTP edge of the city: proves callers, checks requests, renders answers; decides nothing."""
