"""How finely a file may be cut before it is looked at no further."""

MOST = 50_000  # segments, chunks, blocks or entries: a photograph has a hundred, and millions fill memory
