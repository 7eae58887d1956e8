"""What operators do with seals: apply, make, certify, enable, suspend, revoke, destroy."""
