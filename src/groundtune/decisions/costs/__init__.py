"""Assumptions and what the pilot measured → what each arm costs, from where on another is cheaper, and what that hangs on."""
