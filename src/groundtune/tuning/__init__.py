"""Examples (+ passages) → adapter → ModelVersion."""
