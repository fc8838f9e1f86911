"""A web app for talking with open vision-language models about one's own images."""

__version__ = "0.1.0"
