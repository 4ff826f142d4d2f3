"""The probes of a pilot: what is tried, on a copy of the project, and what comes of it."""
