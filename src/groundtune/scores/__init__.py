"""Answers and the examples they belong to → scores → estimates with their intervals."""
