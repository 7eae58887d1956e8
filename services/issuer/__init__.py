"""Registrations of outside callers, and the access tokens made for them."""
