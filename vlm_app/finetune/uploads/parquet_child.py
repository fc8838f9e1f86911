"""`python -m vlm_app.finetune.uploads.parquet_child FILE BYTES`: a parquet file's rows on standard output.

Each is a message (`vlm_app.media.wire`) of JSON: `{"row": {…}}`, or `{"problem": reason}`, and `{}` at
the end. BYTES caps the memory, so that a file that lies about its sizes dies here.
"""

from __future__ import annotations

import base64
import json
import os
import sys
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

from vlm_app.finetune.uploads.rows import LONGEST_ROW
from vlm_app.media import wire

_BATCH = 8  # rows: each may hold large pictures
_CUT = "the file is damaged or cut off; nothing after it can be read"


def main(path: str, memory: int) -> None:
    """Write all rows."""
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # libraries print
    import pyarrow as pa

    pa.set_memory_pool(pa.system_memory_pool())  # the others reserve address space that counts as memory
    _limit(memory)
    try:
        for row in _rows(path):
            wire.send(output, row)
    except MemoryError:
        _end(output, "the file needs more memory than is allowed: write it with smaller groups of rows")
    except (pa.ArrowException, OSError, ValueError) as error:
        _end(output, f"{_CUT} ({type(error).__name__})")
    wire.send(output, b"{}")


def _end(output: BinaryIO, reason: str) -> None:
    wire.send(output, json.dumps({"problem": reason}).encode())


def _rows(path: str) -> Iterator[bytes]:
    import pyarrow.parquet as pq

    # Buffered and not ahead of time: a group of rows may be larger than the memory.
    with pq.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20) as file:
        names = _classes((file.schema_arrow.metadata or {}).get(b"huggingface"))
        for batch in file.iter_batches(batch_size=_BATCH, use_threads=False):
            for row in batch.to_pylist():
                yield _message(row, names)


def _message(row: dict[str, Any], names: Mapping[str, Any]) -> bytes:
    named = {key: _named(value, names.get(key)) for key, value in row.items()}
    try:
        data = json.dumps({"row": named}, default=_plain).encode("utf-8", "replace")
    except (RecursionError, ValueError):
        return json.dumps({"problem": "it is nested too deep"}).encode()
    if len(data) > LONGEST_ROW:
        return json.dumps({"problem": f"it is longer than {LONGEST_ROW / 1e6:.0f} MB"}).encode()
    return data


def _plain(value: Any) -> str:
    """Bytes as a data URI, as a picture in JSON is written; anything else as its text."""
    if isinstance(value, bytes):
        return "data:;base64," + base64.b64encode(value).decode("ascii")
    return str(value)


def _classes(metadata: bytes | None) -> dict[str, Any]:
    """The features of a Hugging Face dataset, which name its classes; {} where there are none."""
    try:
        features = json.loads(metadata or b"{}")["info"]["features"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    return features if isinstance(features, dict) else {}


def _named(value: Any, feature: Any) -> Any:
    """A value in which numbers of classes are their names, as far as `feature` knows them."""
    if isinstance(feature, list) and len(feature) == 1:
        feature = {"_type": "Sequence", "feature": feature[0]}
    if not isinstance(feature, dict):
        return value
    if feature.get("_type") == "ClassLabel":
        names = feature.get("names")
        if isinstance(names, list) and isinstance(value, int) and 0 <= value < len(names):
            return str(names[value])
        return value
    inner = feature.get("feature")
    if isinstance(value, list):
        return [_named(one, inner) for one in value]
    if isinstance(value, dict):
        fields = inner if isinstance(inner, dict) and "_type" not in inner else feature
        # A sequence of objects is kept as an object of lists.
        return {key: _field(one, fields.get(key)) for key, one in value.items()}
    return value


def _field(value: Any, feature: Any) -> Any:
    if isinstance(value, list) and isinstance(feature, dict) and "feature" not in feature:
        return [_named(one, feature) for one in value]
    return _named(value, feature)


def _limit(memory: int) -> None:
    if sys.platform == "linux":  # elsewhere the limit is missing or not kept
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
