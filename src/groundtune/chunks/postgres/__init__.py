"""Index versions in Postgres with pgvector: permissions in the query, and once more in the database."""
