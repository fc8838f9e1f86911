"""What must last: conversations, answers with their votes, findings, images and files.

One SQLite database (`app.db`, write-ahead log), one folder of images and one of files under
the data folder. Every row has an owner, and every query is made for an owner: what belongs to
somebody else is `NotFound`, exactly as what does not exist.
"""

from vlm_app.store.database import StoreUnavailable
from vlm_app.store.formats import FORMAT_VERSION, AnswerRecord, answer_from_dict, answer_to_dict
from vlm_app.store.ids import new_id
from vlm_app.store.store import KeptFile, Store
from vlm_app.store.text import writable

__all__ = [
    "FORMAT_VERSION",
    "AnswerRecord",
    "KeptFile",
    "Store",
    "StoreUnavailable",
    "answer_from_dict",
    "answer_to_dict",
    "new_id",
    "writable",
]
