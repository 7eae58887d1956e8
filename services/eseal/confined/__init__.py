"""Confined workers: processes that read hostile files, out of reach of keys, sockets and the database."""
