"""Sheets and findings in the store: every query names the owner, every change is one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from vlm_app.errors import BadInput, NotFound
from vlm_app.store import Store, new_id
from vlm_app.store.tables import FindingRow, SheetFileRow, SheetMediaRow, SheetRow
from vlm_app.types import Picture
from vlm_app.workbench.rows import (
    Body,
    Kept,
    Record,
    body_from_dict,
    body_to_dict,
    record_of,
    record_to_dict,
    sheet_of,
)
from vlm_app.workbench.sheet import Finding, Kind, Page, Sheet

GONE = "This sheet does not exist or is not yours: open its file again."
FORGOTTEN = "This finding does not exist or is not yours: ask again."


@dataclass(frozen=True, slots=True)
class Opened:
    """A page of a new sheet with the image that it is: a file, or a picture."""

    page: Page
    file: Path | None = None
    picture: Picture | None = None


class Sheets:
    """Reads and writes the sheets and findings of a store."""

    def __init__(self, store: Store) -> None:
        self.store = store

    # --- sheets ---------------------------------------------------------------------------

    def add(
        self,
        owner: str,
        name: str,
        kind: Kind,
        pages: Sequence[Opened],
        body: Body,
        file: tuple[Path, str] | None = None,
    ) -> Sheet:
        """A new sheet; `file` is where the document or video lies, and its media type."""
        paths = {each.file: "application/octet-stream" for each in pages if each.file is not None}
        paths |= {} if file is None else {file[0]: file[1]}
        pictures = [each.picture for each in pages if each.picture is not None]
        written: dict[Path, tuple[str, int]] = {}
        try:
            for path in paths:
                written[path] = self.store.write_file(owner, path)
            self.store.write_images(owner, pictures)
            with self.store.writing() as session:
                ids = {
                    path: self.store.keep_file(session, owner, path, written[path], name, paths[path])
                    for path in paths
                }
                media = iter(self.store.keep_pictures(session, owner, pictures))
                kept = tuple(Kept(each.page, *_held(each, ids, media)) for each in pages)
                whole = replace(body, pages=kept, file=None if file is None else ids[file[0]])
                return sheet_of(self._add_row(session, owner, name, kind, whole, set(ids.values())))
        except BaseException:
            self.store.drop_rowless_files({sha256 for sha256, _ in written.values()})
            raise

    def _add_row(
        self, session: Session, owner: str, name: str, kind: Kind, body: Body, files: set[str]
    ) -> SheetRow:
        now = datetime.now(UTC)
        row = SheetRow(
            id=new_id(),
            owner=owner,
            name=name,
            kind=kind.value,
            body=body_to_dict(body),
            created=now,
            updated=now,
        )
        session.add(row)
        session.flush()
        session.add_all(SheetFileRow(sheet_id=row.id, file_id=each, owner=owner) for each in files)
        for kept in body.pages:
            _hold(session, row, kept.media)
        session.flush()
        return row

    def sheet(self, owner: str, id: str) -> Sheet:
        """Raises `NotFound`."""
        with self.store.reading() as session:
            return sheet_of(sheet_row(session, owner, id))

    def body(self, owner: str, id: str) -> Body:
        """Raises `NotFound`."""
        with self.store.reading() as session:
            return body_from_dict(sheet_row(session, owner, id).body)

    def recent(self, owner: str, most: int) -> tuple[Sheet, ...]:
        rows = select(SheetRow).filter_by(owner=owner).order_by(SheetRow.updated.desc(), SheetRow.id.desc())
        with self.store.reading() as session:
            return tuple(sheet_of(row) for row in session.scalars(rows.limit(most)))

    def delete(self, owner: str, id: str) -> None:
        """Removes a sheet with its findings, and what only it held. Raises `NotFound`."""
        with self.store.writing() as session:
            row = sheet_row(session, owner, id)
            held = select(SheetMediaRow.media_id).filter_by(owner=owner, sheet_id=id)
            media = sorted(session.scalars(held))
            files = sorted(session.scalars(select(SheetFileRow.file_id).filter_by(owner=owner, sheet_id=id)))
            session.delete(row)
        self.store.drop_unused(owner, media)
        self.store.drop_unused_files(owner, files)

    def change_pages(
        self, owner: str, id: str, change: Callable[[tuple[Kept, ...]], tuple[Kept, ...]]
    ) -> Sheet:
        """Puts other pages on a sheet; those that findings are about stay. Raises `NotFound`."""
        with self.store.writing() as session:
            row = sheet_row(session, owner, id)
            body = body_from_dict(row.body)
            used = {key for finding in _finding_rows(session, owner, id) for key in finding.body["pages"]}
            pages = {kept.page.key: kept for kept in change(body.pages)}
            pages |= {kept.page.key: kept for kept in body.pages if kept.page.key in used}
            row.body = body_to_dict(replace(body, pages=_in_time(pages.values())))
            row.updated = _after(row.updated)
            return sheet_of(row)

    def hold(self, owner: str, id: str, key: str, picture: Picture) -> str:
        """Keeps the picture of a page as an image; returns its media id. Raises `NotFound`."""
        self.store.write_images(owner, [picture])
        with self.store.writing() as session:
            row = sheet_row(session, owner, id)
            media = self.store.keep_pictures(session, owner, [picture])[0]
            data = body_to_dict(body_from_dict(row.body))  # another object: a change inside is not noticed
            for page in data["pages"]:
                if page["key"] == key:
                    page["media"] = media
            row.body = data
            _hold(session, row, media)
            return media

    # --- findings -------------------------------------------------------------------------

    def add_finding(self, record: Record, pages: Sequence[Kept] = ()) -> Finding:
        """Adds it, or puts it in the place of what was saved of it on its way, where nobody corrected that:
        then it is another one, with an id of its own. `pages` are those that it is about: frames that were
        taken off the sheet meanwhile are put back.

        Raises `NotFound` when the sheet has been deleted.
        """
        finding = record.finding
        with self.store.writing() as session:
            sheet = sheet_row(session, finding.owner, finding.sheet)
            beside = finding.beside
            if beside is not None and session.get(FindingRow, beside) is None:
                beside = None  # forgotten while the second opinion was written
            row = session.get(FindingRow, finding.id)
            taken = row is not None and record_of(row).finding.corrected
            row = (
                row
                if row is not None and not taken
                else FindingRow(
                    id=new_id() if taken else finding.id,
                    owner=finding.owner,
                    sheet_id=finding.sheet,
                    beside=beside,
                    created=finding.created,
                )
            )
            _put_back(sheet, pages)
            row.body, row.updated = record_to_dict(record), _after(finding.updated)
            session.add(row)
            sheet.updated = _after(sheet.updated)
            session.flush()
            return record_of(row).finding

    def findings(self, owner: str, sheet_id: str) -> tuple[Finding, ...]:
        """The oldest first. Raises `NotFound` when the sheet has been deleted."""
        with self.store.reading() as session:
            sheet_row(session, owner, sheet_id)
            rows = _finding_rows(session, owner, sheet_id)
            return tuple(record_of(row).finding for row in sorted(rows, key=lambda row: row.id))

    def record(self, owner: str, id: str) -> Record:
        """Raises `NotFound`."""
        with self.store.reading() as session:
            return record_of(_finding_row(session, owner, id))

    def change_finding(
        self, owner: str, id: str, since: datetime | None, change: Callable[[Record], Record]
    ) -> Finding:
        """Keeps a changed finding; one that is not changed keeps its time.

        Raises `NotFound`, and `BadInput` where it has changed since `since`.
        """
        with self.store.writing() as session:
            row = _finding_row(session, owner, id)
            before = record_of(row)
            after = change(before)
            if after == before:
                return before.finding
            if since is not None and since != row.updated:
                raise BadInput(
                    "This finding was changed in another tab since it was shown here: reload it, and make "
                    "your change again."
                )
            row.body, row.updated = record_to_dict(after), _after(row.updated)
            sheet_row(session, owner, row.sheet_id).updated = row.updated
            return record_of(row).finding

    def forget(self, owner: str, id: str) -> None:
        """Removes a finding. The images of its pages stay with the sheet. Raises `NotFound`."""
        with self.store.writing() as session:
            session.delete(_finding_row(session, owner, id))


def _held(page: Opened, files: Mapping[Path, str], media: Iterator[str]) -> tuple[str | None, str | None]:
    """The ids of the file and of the image that a new page is."""
    return (
        None if page.file is None else files[page.file],
        None if page.picture is None else next(media),
    )


def sheet_row(session: Session, owner: str, id: str) -> SheetRow:
    """The row. Raises `NotFound`, also for another owner's."""
    row = session.scalar(select(SheetRow).filter_by(owner=owner, id=id))
    if row is None:
        raise NotFound(GONE)
    return row


def _finding_row(session: Session, owner: str, id: str) -> FindingRow:
    row = session.scalar(select(FindingRow).filter_by(owner=owner, id=id))
    if row is None:
        raise NotFound(FORGOTTEN)
    return row


def _finding_rows(session: Session, owner: str, sheet_id: str) -> Sequence[FindingRow]:
    return session.scalars(select(FindingRow).filter_by(owner=owner, sheet_id=sheet_id)).all()


def _put_back(sheet: SheetRow, pages: Sequence[Kept]) -> None:
    body = body_from_dict(sheet.body)
    gone = [kept for kept in pages if body.page(kept.page.key) is None]
    if gone:
        sheet.body = body_to_dict(replace(body, pages=_in_time([*body.pages, *gone])))


def _in_time(pages: Iterable[Kept]) -> tuple[Kept, ...]:
    return tuple(sorted(pages, key=lambda kept: kept.page.seconds or 0.0))


def _hold(session: Session, sheet: SheetRow, media: str | None) -> None:
    if media is not None and session.get(SheetMediaRow, (sheet.id, media)) is None:
        session.add(SheetMediaRow(sheet_id=sheet.id, media_id=media, owner=sheet.owner))


def _after(before: datetime) -> datetime:
    """Now, and later than before: the time says which version somebody saw."""
    return max(datetime.now(UTC), before + timedelta(microseconds=1))
