"""Estimates and a rubric written beforehand → a decision with its reasons, and the record of it."""
