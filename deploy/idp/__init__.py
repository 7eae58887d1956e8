"""The development identity provider: a small, real OpenID Connect server for the town's people."""
