"""OFD (GB/T 33190): reading, laying out, checking."""
