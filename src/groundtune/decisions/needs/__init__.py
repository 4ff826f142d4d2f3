"""Needs → a first recommendation, before anything is measured: NeedsTable → Advice → Annex."""
