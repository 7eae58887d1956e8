"""`./onestop remote`: what operators do with companies' credentials for remote signing."""
