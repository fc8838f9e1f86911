"""How fast this app answers, against plain `model.generate` and against `transformers serve`."""
