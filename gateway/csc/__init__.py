"""Remote signing by the API of the Cloud Signature Consortium, version 2 (docs/decisions/0022)."""
