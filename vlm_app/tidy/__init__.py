"""What is kept, and for how long: all data of one owner, and what nobody needs any more."""

from vlm_app.tidy.own_data import Forgotten, Holdings, OwnData
from vlm_app.tidy.sweeping import sweeper

__all__ = ["Forgotten", "Holdings", "OwnData", "sweeper"]
