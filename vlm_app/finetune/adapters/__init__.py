"""Adapters that runs made or somebody brought: their cards, and what can be done with them.

Importing this imports no torch.
"""

from vlm_app.finetune.adapters.card import Card, Score, Taught
from vlm_app.finetune.adapters.keeping import keep
from vlm_app.finetune.adapters.kept import Adapters, Kept, check_zip
from vlm_app.finetune.adapters.readme import rounding

__all__ = ["Adapters", "Card", "Kept", "Score", "Taught", "check_zip", "keep", "rounding"]
