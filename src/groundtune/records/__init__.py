"""The ledger: what ran, on which inputs, and what came out. SQLite in WAL mode; append-only migrations."""
