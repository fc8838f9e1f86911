"""What must last: conversations, answers with their votes, and images.

One SQLite database (`app.db`, write-ahead log) and one folder of images under the data
folder. Every row has an owner, and every query is made for an owner: what belongs to
somebody else is `NotFound`, exactly as what does not exist.
"""

from vlm_app.store.database import StoreUnavailable
from vlm_app.store.formats import FORMAT_VERSION, AnswerRecord, answer_from_dict, answer_to_dict
from vlm_app.store.ids import new_id
from vlm_app.store.store import Store

__all__ = [
    "FORMAT_VERSION",
    "AnswerRecord",
    "Store",
    "StoreUnavailable",
    "answer_from_dict",
    "answer_to_dict",
    "new_id",
]
