"""Question (+ passages) (+ adapter) → Answer: arms as data, one prompt builder, one way to respond."""
