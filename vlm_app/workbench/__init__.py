"""The workbench: pictures, documents and videos, what models find on them, and what people make of it."""
