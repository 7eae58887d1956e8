"""What the city is measured against: the same questions, from the same tables, by one web service.

FastAPI, SQLAlchemy's async ORM over asyncpg, uvicorn with one worker per core; TLS with the gateway's server
certificate. It has no service split, no access token, no ledger, no receipts, and it decrypts nothing. Where
it is slower than the city, its tools are the price; where it is faster, the city's promises are.

It is written as somebody would who knows these libraries and has read what they advise: what a profile shows
within the hour is mended, and nothing is rewritten below the libraries to win a race.
"""
