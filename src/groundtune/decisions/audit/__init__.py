"""Logged answers of the system that a team has today → what is wrong with them, labelled by people: Response → Label → Share → verdict."""
