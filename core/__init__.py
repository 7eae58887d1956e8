"""What every part shares: identity, errors, the disclosure protocol and the ways in and out."""
