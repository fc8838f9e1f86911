"""Adapters that runs made or somebody brought: their cards, and what can be done with them.

Importing this imports no torch.
"""

from vlm_app.finetune.adapters.card import Card, Score, Taught
from vlm_app.finetune.adapters.keeping import keep

__all__ = ["Card", "Score", "Taught", "keep"]
