"""What the app needs for fine-tuning, made once when it starts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from vlm_app.engine import Engine
from vlm_app.finetune.adapters import Adapters
from vlm_app.finetune.arrivals import Arrivals
from vlm_app.finetune.examples import Examples
from vlm_app.finetune.overview import Overviews
from vlm_app.finetune.runs import Runs
from vlm_app.finetune.uploads import sweep
from vlm_app.store import Store


class Workshop:
    """Datasets and runs of all owners. To be opened when the app starts, and closed when it ends."""

    def __init__(self, store: Store, engine: Engine) -> None:
        self.store = store
        self.examples = Examples(store)
        self.arrivals = Arrivals(self.examples)
        self.overviews = Overviews(self.examples)
        self.runs = Runs(store, engine)
        self.adapters = Adapters(store, engine)

    def open(self) -> None:
        """Remove what a crash left of uploads, and look after the line of runs."""
        sweep()
        self.runs.drive()

    def pause(self) -> None:
        """Nothing new begins, and what trains ends with a checkpoint; see `trains`. Raises AppError."""
        self.arrivals.refuse()
        self.runs.pause()

    def trains(self) -> bool:
        """Whether a run still has a process."""
        return self.runs.trains()

    def changed(self) -> Iterator[tuple[str, datetime]]:
        """Whose runs and adapters there are, and when each changed last: now, where it trains or waits."""
        yield from self.runs.changed()
        yield from self.adapters.changed()

    def close(self) -> None:
        """What trains goes on without us; what is being read ends."""
        self.arrivals.close()
        self.overviews.close()
        self.runs.close()
