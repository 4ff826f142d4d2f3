"""Labelled questions: load, audit, find leaks between splits."""
