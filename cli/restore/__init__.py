"""`onestop restore`: a city of a backup, proved before it takes its place."""
