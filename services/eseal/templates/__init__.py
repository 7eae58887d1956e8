"""Documents laid out once and filled at speed: the templates, their font, their PDF and their OFD."""
