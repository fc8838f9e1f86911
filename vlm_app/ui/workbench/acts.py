"""The buttons of the tab that ask no model: what each does, for an owner."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Any

from vlm_app.chat import Chats
from vlm_app.errors import BadInput
from vlm_app.settings import settings
from vlm_app.ui.welcome import EXAMPLES
from vlm_app.ui.workbench import datasets, edits
from vlm_app.ui.workbench.asking import GONE
from vlm_app.ui.workbench.comparing import compared, on_page, own_text
from vlm_app.ui.workbench.opening import begun, from_chat, from_file
from vlm_app.ui.workbench.showing import BenchShowing, Updates
from vlm_app.ui.workbench.telling import told
from vlm_app.workbench.bench import Bench
from vlm_app.workbench.sheet import Finding


@dataclass(frozen=True)
class Press:
    """A press: whose, on which sheet and finding, with what the button carries."""

    owner: str
    sheet: str
    finding: str
    asked: dict[str, Any]

    def text(self, name: str) -> str:
        value = self.asked.get(name)
        return "" if value is None else str(value)

    def number(self, name: str) -> float:
        try:
            return float(self.asked[name])
        except (KeyError, TypeError, ValueError) as error:
            raise BadInput("A number is missing here: type one and press again.") from error


class Acts:
    """What buttons do. Every method gives updates of the tab, or raises AppError."""

    def __init__(self, showing: BenchShowing, bench: Bench, chats: Chats, store: Any) -> None:
        self.showing = showing
        self.bench = bench
        self.chats = chats
        self.datasets = datasets.Datasets(store, bench)
        self.ways: dict[str, Callable[[Press], Updates]] = {
            "restore": self._restore, "recent": self._recent, "open": self._open, "delete": self._delete,
            "example": self._example, "show": self._show, "forget": self._forget, "edit": self._edit,
            "begin": self._begin, "text": self._text, "frame": self._frame, "sample": self._sample,
            "own-text": self._own_text, "chat": self._chat, "dataset": self._dataset,
            "datasets": self._list_datasets, "new-dataset": self._new_dataset,
        }  # fmt: skip

    def do(self, owner: str, sheet: str, finding: str, asked: dict[str, Any]) -> Updates:
        """One press."""
        way = self.ways.get(str(asked.get("act")))
        if way is None:
            raise BadInput(GONE)
        return way(Press(owner, sheet, finding, asked))

    def refused(self) -> str:
        """News for the browser after a refusal: what waited for an answer goes on."""
        return told(refused=True)

    # --- sheets -----------------------------------------------------------------------------

    def _restore(self, press: Press) -> Updates:
        return self.showing.restored(press.owner, press.text("sheet"), press.text("finding"))

    def _recent(self, press: Press) -> Updates:
        """The menu of what was opened lately, where nothing is open."""
        return self.showing.recent(press.owner)

    def _open(self, press: Press) -> Updates:
        return self.showing.sheet(press.owner, self.bench.sheet(press.owner, press.text("sheet")))

    def _delete(self, press: Press) -> Updates:
        self.bench.delete(press.owner, press.sheet)
        return self.showing.blank(press.owner)

    def _example(self, press: Press) -> Updates:
        example = EXAMPLES.get(press.text("name"))
        if example is None:
            raise BadInput(GONE)
        path = settings().assets / "examples" / example.file
        return self.showing.sheet(press.owner, self.bench.open(press.owner, [(path, path.name)]))

    def _chat(self, press: Press) -> Updates:
        """An answer of a chat is opened here."""
        at = press.asked.get("given")
        number = int(at) if isinstance(at, int) else None
        finding = from_chat(
            self.bench, self.chats, press.owner, press.text("chat"), press.text("message"), number
        )
        return self.showing.sheet(press.owner, self.bench.sheet(press.owner, finding.sheet), finding.id)

    def take_in(self, owner: str, sheet: str, path: Path) -> Updates:
        """Regions of a file become a finding of the sheet."""
        finding, left_out = from_file(self.bench, owner, sheet, path)
        updates = self.showing.sheet(owner, self.bench.sheet(owner, finding.sheet), finding.id)
        if left_out:
            said = f"Left out, as no picture of that name is open here: {', '.join(left_out)}."
            updates[self.showing.on.progress] = f'<p class="status" role="status">{escape(said)}</p>'
        return updates

    # --- video ------------------------------------------------------------------------------

    def _frame(self, press: Press) -> Updates:
        sheet, page = self.bench.frame(press.owner, press.sheet, press.number("seconds"))
        return self.showing.sheet(press.owner, sheet, press.finding, page=page.key)

    def _sample(self, press: Press) -> Updates:
        if "every" in press.asked:
            sheet = self.bench.sample(press.owner, press.sheet, every=press.number("every"))
        else:
            sheet = self.bench.sample(press.owner, press.sheet, count=round(press.number("count")))
        return self.showing.sheet(press.owner, sheet, press.finding)

    # --- findings ---------------------------------------------------------------------------

    def _show(self, press: Press) -> Updates:
        finding = self.bench.finding(press.owner, press.text("finding"))
        sheet = self.bench.sheet(press.owner, finding.sheet)
        return self.showing.finding(press.owner, sheet, finding, page=press.text("page"))

    def _forget(self, press: Press) -> Updates:
        self.bench.forget(press.owner, press.text("finding"))
        sheet = self.bench.sheet(press.owner, press.sheet)
        return self.showing.sheet(press.owner, sheet, press.finding)

    def _edit(self, press: Press) -> Updates:
        """Regions of a page were changed. The browser keeps what it draws: it drew the change."""
        finding = self.bench.finding(press.owner, press.text("finding"))
        marks = edits.changed(finding, press.text("page"), press.asked.get("regions"))
        kept = self.bench.edit(press.owner, finding.id, marks=marks, since=_since(press))
        return self._kept(press, kept)

    def _begin(self, press: Press) -> Updates:
        """A region was drawn where no model was asked: a finding of the person's own."""
        page = press.text("page")
        with begun(self.bench, press.owner, press.sheet, [page]) as finding:
            marks = edits.changed(finding, page, press.asked.get("regions"))
            kept = self.bench.edit(press.owner, finding.id, marks=marks)
        return self._kept(press, kept)

    def _text(self, press: Press) -> Updates:
        finding = self.bench.edit(
            press.owner, press.text("finding"), text=press.text("text"), since=_since(press)
        )
        return self._kept(press, finding)

    def _kept(self, press: Press, finding: Finding) -> Updates:
        return self.showing.edited(press.owner, self.bench.sheet(press.owner, finding.sheet), finding)

    # --- a file's own text --------------------------------------------------------------------

    def _own_text(self, press: Press) -> Updates:
        """The text that a page holds as text, beside what was read of it."""
        key = press.text("page")
        sheet = self.bench.sheet(press.owner, press.sheet)
        lines = self.bench.born_digital(press.owner, press.sheet, key)
        if not lines:
            raise BadInput("This page holds no text of its own, only pixels: have it read instead.")
        own = own_text(press.owner, press.sheet, key, lines)
        shown = self.bench.finding(press.owner, press.finding) if press.finding else None
        if shown is None or key not in shown.pages:
            return self.showing.pair(sheet, own, None, page=key, own=True)
        one = on_page(shown, key)
        return self.showing.pair(sheet, one, compared(one, own), page=key, own=True)

    # --- datasets ---------------------------------------------------------------------------

    def _dataset(self, press: Press) -> Updates:
        line = self.datasets.add(press.owner, press.finding, press.text("dataset"))
        return {self.showing.on.progress: line}

    def _list_datasets(self, press: Press) -> Updates:
        return {self.showing.on.told: told(datasets=self.datasets.listed(press.owner))}

    def _new_dataset(self, press: Press) -> Updates:
        id = self.datasets.create(press.owner, press.text("name"))
        return {self.showing.on.progress: self.datasets.add(press.owner, press.finding, id)}


def _since(press: Press) -> datetime | None:
    """When the finding was last changed, as the browser knows it."""
    try:
        return datetime.fromisoformat(press.text("updated")) if press.text("updated") else None
    except ValueError as error:
        raise BadInput(GONE) from error
