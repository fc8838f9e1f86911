"""How much each role may take: sizes, counts and rates, and who has which role.

`of(owner)` is asked where work begins: before a file is decoded, before a body is read whole, before
a message is kept. What is refused is told in one sentence that says the limit.
"""

from vlm_app.limits.known import know, of, role_of
from vlm_app.limits.rates import Rates
from vlm_app.limits.roles import Limits, limits_for
from vlm_app.limits.turns import Turns, answering

__all__ = ["Limits", "Rates", "Turns", "answering", "know", "limits_for", "of", "role_of"]
