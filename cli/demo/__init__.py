"""`make demo`: an approval case and a bank request, as the outside callers make them, over HTTPS."""
