"""`./onestop seal`: what operators do with seals, a subcommand a file."""
