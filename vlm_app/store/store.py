"""The store: transactions on the database, images and files with their owners."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Select, Text, and_, cast, delete, exists, func, select
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import InstrumentedAttribute, Session

from vlm_app.errors import NotFound
from vlm_app.store.database import as_sentence, migrate, open_database
from vlm_app.store.disk import Disk, size_of
from vlm_app.store.files import FileFolder
from vlm_app.store.ids import new_id
from vlm_app.store.images import ImageFolder
from vlm_app.store.tables import (
    FILE_HOLDERS,
    IMAGE_HOLDERS,
    DatasetRow,
    ExampleRow,
    FileRow,
    FindingRow,
    MediaRow,
    MessageRow,
    SheetRow,
)
from vlm_app.store.uploads import Uploads
from vlm_app.types import Picture

_AT_ONCE = 10_000  # ids in a query: databases take 32,766 or 65,535 at most


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A file of an owner: where it lies, the hash of its bytes, its name when it was first opened,
    and its media type."""

    path: Path
    sha256: str
    name: str
    media_type: str


class Store:
    """Everything that lasts, under the folder `data` (made when missing).

    `url` names another database than `data/app.db`. Safe to use from several threads, and from
    several processes on one folder. Raises `StoreUnavailable` when the folder cannot be used.
    """

    def __init__(self, data: Path, url: str | None = None) -> None:
        self.data = data
        self._images = ImageFolder(data / "images")
        self._files = FileFolder(data / "files")
        with self._told():
            data.mkdir(parents=True, exist_ok=True)
            self._read = open_database(url or URL.create("sqlite", database=str(data / "app.db")))
            migrate(self._read)
        self._write = self._read.execution_options(write=True)
        self.disk = Disk()
        self.disk.also("images and files", self._kept_bytes)
        self.disk.also("uploads", Uploads(data).bytes)

    def close(self) -> None:
        """Closes the connections. The store is not used afterwards."""
        self._read.dispose()

    def compact(self) -> None:
        """Empties SQLite's log, in which what was deleted still stands. Whoever reads just now delays it."""
        if self._read.dialect.name == "sqlite":
            with self._told(), closing(self._read.raw_connection()) as connection:
                connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").close()

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session that sees the database as it is now, and does not wait for writers."""
        with self._told(), Session(self._read) as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A session whose changes are kept together, or not at all when an exception leaves it.

        Only one runs at a time over all threads and processes: nothing slow belongs inside.
        """
        with self._told(), Session(self._write) as session, session.begin():
            session.connection()  # takes the lock now, not at the first statement
            yield session

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turns what the disk and the database refuse into a sentence; a broken rule stays a bug."""
        try:
            yield
        except IntegrityError:
            raise
        except (DBAPIError, sqlite3.Error, OSError) as error:
            raise as_sentence(error, self.data) from error

    # --- images ---------------------------------------------------------------------------

    def add_picture(self, owner: str, picture: Picture) -> str:
        """Keeps an image for an owner and returns its media id: the same for the same pixels."""
        self.write_images(owner, [picture])
        with self.writing() as session:
            return self.keep_pictures(session, owner, [picture])[0]

    def write_images(self, owner: str, pictures: Sequence[Picture]) -> None:
        """Writes the files, ahead of the transaction that calls `keep_pictures`: encoding is slow.

        Raises `TooMuch` before, where the owner has no room for them.
        """
        paths = [self._images.path(picture.sha256) for picture in pictures]
        self.disk.check(owner)
        with self._told():
            for picture in pictures:
                self._images.write(picture)
            self.disk.add(owner, sum(size_of(path) for path in paths))

    def keep_pictures(self, session: Session, owner: str, pictures: Sequence[Picture]) -> list[str]:
        """Media ids of the pictures, rows added where needed, within a session of `writing`."""
        return [self._keep(session, owner, picture) for picture in pictures]

    def _keep(self, session: Session, owner: str, picture: Picture) -> str:
        self._images.write(picture)  # again, if the last owner of the same image has just let it go
        row = session.scalar(select(MediaRow).filter_by(owner=owner, sha256=picture.sha256))
        if row is None:
            width, height = picture.size
            row = MediaRow(
                id=new_id(),
                owner=owner,
                sha256=picture.sha256,
                width=width,
                height=height,
                note=picture.note,
                created=datetime.now(UTC),
            )
            session.add(row)
            session.flush()
        return row.id

    def picture(self, owner: str, media_id: str) -> Picture:
        """The image. Raises `NotFound`, also for another owner's."""
        with self.reading() as session:
            return self.read_picture(session, owner, media_id)

    def read_picture(self, session: Session, owner: str, media_id: str) -> Picture:
        """The same within a session."""
        row = self._media(session, owner, media_id)
        return self._images.read(row.sha256, row.note)

    def picture_path(self, owner: str, media_id: str) -> Path:
        """The PNG file of the image. Raises `NotFound`, also for another owner's."""
        with self.reading() as session:
            return self._images.path(self._media(session, owner, media_id).sha256)

    def _media(self, session: Session, owner: str, media_id: str) -> MediaRow:
        row = session.get(MediaRow, media_id)  # which asks nobody again for a row that the session holds
        if row is None or row.owner != owner:
            raise NotFound("This image does not exist or is not yours: upload it again.")
        return row

    def drop_unused(self, owner: str, media_ids: Sequence[str]) -> None:
        """Lets go of those images that nothing of the owner holds any more (`IMAGE_HOLDERS`).

        A file goes in a transaction after its row has gone: a crash in between leaves a file too
        many, never a row without its file.
        """
        for start in range(0, len(media_ids), _AT_ONCE):
            self._drop_images(owner, media_ids[start : start + _AT_ONCE])

    def _drop_images(self, owner: str, media_ids: Sequence[str]) -> None:
        gone = self._let_go(MediaRow, IMAGE_HOLDERS, owner, media_ids)
        with self.writing() as session:
            kept = set(session.scalars(select(MediaRow.sha256).where(MediaRow.sha256.in_(gone))))
            for sha256 in gone - kept:
                self._images.remove(sha256)

    def _let_go(
        self,
        row: type[MediaRow] | type[FileRow],
        holders: Sequence[InstrumentedAttribute[str]],
        owner: str,
        ids: Sequence[str],
    ) -> set[str]:
        """Deletes those rows that no holder names; returns their hashes."""
        unheld = and_(
            row.owner == owner, row.id.in_(ids), *(~exists().where(each == row.id) for each in holders)
        )
        with self.writing() as session:
            hashes = set(session.scalars(select(row.sha256).where(unheld)))
            session.execute(delete(row).where(unheld))
        return hashes

    # --- files ----------------------------------------------------------------------------

    def write_file(self, owner: str, source: Path) -> tuple[str, int]:
        """Copies a file, ahead of the transaction that calls `keep_file`; its SHA-256 and bytes.

        Raises `TooMuch` before, where the owner has no room for it.
        """
        with self.disk.reserve(owner, size_of(source)) as room, self._told():
            written = self._files.write(source)
            room.wrote(written[1])
        return written

    def _kept_bytes(self, owner: str) -> int:
        """Bytes of an owner's images and files on the disk, and about those of what they wrote."""
        written = (
            select(func.sum(func.length(MessageRow.words))).filter_by(owner=owner),
            _length(FindingRow.body).join(SheetRow).where(SheetRow.owner == owner),
            _length(ExampleRow.body).join(DatasetRow).where(DatasetRow.owner == owner),
        )
        with self.reading() as session:
            text = sum(int(session.scalar(each) or 0) for each in written)
            images = session.scalars(select(MediaRow.sha256).filter_by(owner=owner)).all()
            files = session.scalar(select(func.sum(FileRow.bytes)).filter_by(owner=owner))
        return sum(size_of(self._images.path(each)) for each in images) + int(files or 0) + text

    def keep_file(
        self, session: Session, owner: str, source: Path, written: tuple[str, int], name: str, media_type: str
    ) -> str:
        """The id of a file that was written, a row added where needed, within a session of `writing`."""
        sha256, count = written
        if not self._files.path(sha256).exists():  # the last owner of the same file has just let it go
            self._files.write(source)
        row = session.scalar(select(FileRow).filter_by(owner=owner, sha256=sha256))
        if row is None:
            row = FileRow(
                id=new_id(),
                owner=owner,
                sha256=sha256,
                name=name,
                media_type=media_type,
                bytes=count,
                created=datetime.now(UTC),
            )
            session.add(row)
            session.flush()
        return row.id

    def file(self, owner: str, file_id: str) -> KeptFile:
        """Where a file lies. Raises `NotFound`, also for another owner's, and when it has gone."""
        with self.reading() as session:
            row = session.scalar(select(FileRow).filter_by(owner=owner, id=file_id))
        if row is None:
            raise NotFound("This file does not exist or is not yours: open it again.")
        path = self._files.path(row.sha256)
        if not path.exists():
            raise NotFound(f"The file {row.sha256[:12]}… is missing from the data folder: open it again.")
        return KeptFile(path, row.sha256, row.name, row.media_type)

    def drop_unused_files(self, owner: str, file_ids: Sequence[str]) -> None:
        """Lets go of those files that nothing of the owner holds any more (`FILE_HOLDERS`)."""
        self.drop_rowless_files(self._let_go(FileRow, FILE_HOLDERS, owner, file_ids))

    def drop_rowless_files(self, hashes: set[str]) -> None:
        """Removes those files that no row of any owner names: also what was written and not kept."""
        with self.writing() as session:
            kept = set(session.scalars(select(FileRow.sha256).where(FileRow.sha256.in_(hashes))))
            for sha256 in hashes - kept:
                self._files.remove(sha256)


def _length(body: InstrumentedAttribute[dict[str, Any]]) -> Select[tuple[int]]:
    """The characters of a column of JSON."""
    return select(func.sum(func.length(cast(body, Text))))
