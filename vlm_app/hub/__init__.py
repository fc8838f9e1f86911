"""The Hugging Face Hub: signing in, finding and checking models, which commit is used.

Everything else of the app that wants something of the Hub comes here, so that a token,
a rate limit or a missing network is treated in one place. `huggingface_hub` is imported
when it is first needed. Every failure is a `ModelUnavailable` with its sentence.
"""

from vlm_app.hub.account import sign_in, sign_out, signed_in, token
from vlm_app.hub.adding import add
from vlm_app.hub.client import asking, page
from vlm_app.hub.downloads import download, on_disk
from vlm_app.hub.findings import Finding, Found, check, findings, search_hub
from vlm_app.hub.locks import keep, lock, revision, upgrade
from vlm_app.hub.publishing import publish
from vlm_app.hub.reach import reachable

__all__ = [
    "Finding",
    "Found",
    "add",
    "asking",
    "check",
    "download",
    "findings",
    "keep",
    "lock",
    "on_disk",
    "page",
    "publish",
    "reachable",
    "revision",
    "search_hub",
    "sign_in",
    "sign_out",
    "signed_in",
    "token",
    "upgrade",
]
