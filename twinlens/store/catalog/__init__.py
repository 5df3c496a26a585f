"""The catalog: what is small, mutable and transactional, on SQLite or PostgreSQL. One module per aggregate."""
