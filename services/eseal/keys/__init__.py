"""Seals' keys beyond the vault: tokens, requests for certificates, what comes of them."""
