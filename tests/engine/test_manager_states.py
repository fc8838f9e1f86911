"""Whatever users and the computer do to the manager: nobody is lost and nothing is overdrawn."""

from __future__ import annotations

import threading
import time
from unittest.mock import patch

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.engine.fake_backend import MB, FakeBackend, Hang, Step, row
from tests.sizes import MANAGER_RUNS
from vlm_app.engine import slots
from vlm_app.engine.events import Broadcaster
from vlm_app.engine.manager import Lease, Manager
from vlm_app.errors import ModelUnavailable

ROWS = {id: row(id) for id in ("ant", "bee", "cat", "dog", "elk")}
PARAMETERS = {"ant": 40 * MB, "bee": 50 * MB, "cat": 60 * MB, "dog": 100 * MB, "elk": 900 * MB}
MEMORY = 300 * MB
MOST_USERS = 10
END_SECONDS = 20.0  # for everybody's turn to come, once nothing hangs any more: it takes less than one

models = st.sampled_from(sorted(ROWS))
precisions = st.sampled_from(["auto", "auto", "bf16", "int8", "nf4"])
whose = st.integers(0, MOST_USERS - 1)
errors = st.sampled_from([ModelUnavailable, RuntimeError, MemoryError])
steps: st.SearchStrategy[Step] = st.sampled_from(["plan", "download", "load", "unload"])


class User:
    """Somebody who waits for a model or holds it."""

    def __init__(self, manager: Manager, id: str, precision: str = "auto") -> None:
        self.lease: Lease = manager.lease(ROWS[id], precision)
        self.id = id
        self.holds = False

    def look(self, seconds: float = 0.0) -> bool:
        """Whether it goes on: False when the wait ended with a sentence."""
        try:
            self.holds = self.holds or self.lease.ready(seconds)
        except ModelUnavailable as error:
            assert str(error).endswith(".")
            self.lease.release()
            return False
        return True


class Crowd(RuleBasedStateMachine):
    """Users, faults, and a manager between them."""

    @initialize(
        limit=st.sampled_from([None, 130 * MB, 250 * MB]),
        working=st.sampled_from([0, 10 * MB]),
        idle=st.sampled_from([0.0, 0.0, 0.02]),
    )
    def begin(self, limit: int | None, working: int, idle: float) -> None:
        self.limit = limit
        self.others = set(threading.enumerate())  # whatever tests before left behind
        self.backend = FakeBackend(MEMORY, PARAMETERS, working)
        self.manager = Manager(self.backend, Broadcaster(), limit, idle)
        self.users: dict[int, User] = {}
        self.hangs: list[Hang] = []
        self.patch = patch.object(slots, "UNLOAD_SECONDS", 0.1)
        self.patch.start()

    # --- users: what hypothesis draws may not depend on how far the threads are -----------------

    @rule(who=whose, id=models, precision=precisions)
    def ask(self, who: int, id: str, precision: str) -> None:
        self.stop(who)
        self.users[who] = User(self.manager, id, precision)

    @rule(who=whose)
    def stop(self, who: int) -> None:
        if user := self.users.pop(who, None):
            user.lease.release()

    @rule(seconds=st.sampled_from([0.0, 0.0, 0.005]))
    def look(self, seconds: float) -> None:
        self.users = {who: user for who, user in self.users.items() if user.look(seconds)}

    @rule(id=models, precision=precisions)
    def warm(self, id: str, precision: str) -> None:
        self.manager.warm(ROWS[id], precision)

    @rule(id=models, precision=st.none() | precisions)
    def unload(self, id: str, precision: str | None) -> None:
        self.manager.unload(id, precision)

    @rule(id=models, precision=st.none() | precisions)
    def cancel(self, id: str, precision: str | None) -> None:
        self.manager.cancel(id, precision)

    # --- the computer ---------------------------------------------------------------------------

    @rule(step=steps, id=models, kind=errors)
    def fail(self, step: Step, id: str, kind: type[BaseException]) -> None:
        self.backend.fail(step, id, kind)

    @rule(step=steps, id=models, deaf=st.booleans())
    def hang(self, step: Step, id: str, deaf: bool) -> None:
        self.hangs.append(self.backend.hang(step, id, deaf))

    @rule(which=whose)
    def release(self, which: int) -> None:
        if self.hangs:
            self.hangs.pop(which % len(self.hangs)).release()

    @rule(seconds=st.sampled_from([0.001, 0.005, 0.03]))
    def rest(self, seconds: float) -> None:
        time.sleep(seconds)

    # --- always ---------------------------------------------------------------------------------

    @invariant()
    def nothing_is_overdrawn(self) -> None:
        assert self.backend.wrongs == []
        with self.manager._lock:
            reserved = sum(slot.reserved for slot in self.manager._models.slots if not slot.stuck)
        assert reserved <= (self.limit or MEMORY), "more is set aside than there is"

    @invariant()
    def nobody_is_lost(self) -> None:
        ids = [user.id for user in self.users.values()]
        assert self.manager.leases() == {id: ids.count(id) for id in ids}

    @invariant()
    def who_holds_a_model_can_use_it(self) -> None:
        for user in self.users.values():
            if user.holds:
                assert user.lease.model.model is not None and user.lease.model.checkpoint.id == user.id

    @invariant()
    def every_state_has_a_sentence(self) -> None:
        for state in (*self.manager.states(), *(self.manager.state(each) for each in ROWS.values())):
            assert state.detail.endswith(".") and state.model in ROWS

    # --- the end --------------------------------------------------------------------------------

    def teardown(self) -> None:
        if not hasattr(self, "manager"):
            return
        try:
            self.backend.heal()
            self._everybody_s_turn_comes()
            self.nothing_is_overdrawn()
            self.nobody_is_lost()
        finally:
            self.backend.heal()
            self.manager.close()
            self.patch.stop()
        assert self.manager.leases() == {} and self.manager.states() == ()
        assert self.backend.taken == 0 and self.backend.wrongs == []
        until = time.monotonic() + END_SECONDS
        while names := self._threads():  # they may be on their last lines
            assert time.monotonic() < until, names
            time.sleep(0.002)

    def _threads(self) -> list[str]:
        """Names of the manager's threads that are left."""
        names = [thread.name for thread in set(threading.enumerate()) - self.others]
        return [name for name in names if name == "models" or name.startswith("unload ")]

    def _everybody_s_turn_comes(self) -> None:
        """Also while others ask for their models again and again."""
        rivals = [User(self.manager, id) for id in ("ant", "bee", "dog")]
        until = time.monotonic() + END_SECONDS
        waiting = list(self.users.values())
        while waiting:
            states = [state.detail for state in self.manager.states()]
            assert time.monotonic() < until, f"{[user.id for user in waiting]} starve: {states}"
            waiting = [user for user in waiting if user.look(0.002)]
            for user in [user for user in waiting if user.holds]:
                user.lease.release()
                waiting.remove(user)
            rivals = [self._again(user) for user in rivals]
        self.users.clear()
        for user in rivals:
            user.lease.release()

    def _again(self, rival: User) -> User:
        if rival.look() and not rival.holds:
            return rival
        rival.lease.release()
        return User(self.manager, rival.id)


TestCrowd = Crowd.TestCase
TestCrowd.settings = settings(
    max_examples=MANAGER_RUNS,
    stateful_step_count=40,
    deadline=None,
    phases=(
        Phase.explicit,
        Phase.reuse,
        Phase.generate,
    ),  # threads do not shrink: another run is another race
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
)
