"""Teaching a model: examples to learn from. Importing it imports no torch."""
