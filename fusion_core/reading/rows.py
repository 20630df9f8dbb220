"""Make one row of a table into a record, or into a refusal that says why not."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fusion_core.errors import RecordError
from fusion_core.reading.cells import identity, moment, slices, words
from fusion_core.reading.media import MediaStore
from fusion_core.reading.metadata import NAMED, Row
from fusion_core.reading.texts import clean_text, quoted
from fusion_core.types import Media, Record, Refusal

Finder = Callable[[str], Media]

COLUMNS = {"image": ("image", "image_file_name"), "audio": ("audio", "audio_file_name")}
#: Columns of folders whose rows have several files.
SEVERAL = ("images", "images_file_names", "audios", "audios_file_names", "file_names")
SUFFIXES = {
    "image": (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif"),
    "audio": (".wav", ".flac", ".ogg", ".oga", ".opus", ".aif", ".aiff", ".aifc"),
}


def assemble(row: Row, seen: set[str], finder: Finder, store: MediaStore) -> Record | Refusal:
    """Return the row's record, its media looked up by `finder`; `seen` collects the ids of the rows before it."""
    id = f"row:{row.number}"
    try:
        id = identity(row.cells.get("id")) or id
        if id in seen:
            raise RecordError(f"an earlier row has the id {quoted(id)}", "duplicate_id")
        seen.add(id)
        if row.fault:
            raise RecordError(row.fault, "metadata_damaged")
        return _record(row, id, finder, store)
    except RecordError as error:
        return Refusal(id, error.code, f"{row.where}: {error}")


def _record(row: Row, id: str, finder: Finder, store: MediaStore) -> Record:
    cells = row.cells
    text, flags = _text(cells.get("text"))
    media = {
        modality: media_of(cell, f"{modality} of row {row.number}", finder, store)
        for modality, cell in _media_cells(cells).items()
    }
    if text is None and not media:
        raise RecordError("has neither text, image nor audio", "record_empty")
    meta, cut = slices(cells, NAMED)
    try:
        timestamp = moment(cells.get("timestamp"))
    except ValueError:
        timestamp, flags = None, (*flags, "unreadable timestamp")
        meta["timestamp"] = clean_text(str(cells["timestamp"])[:100])[0]
    label = words(cells.get("label"), "label")
    flags = (*row.flags, *flags, *cut)
    return Record(id, text, media.get("image"), media.get("audio"), label, timestamp, meta, flags)


def _text(cell: object) -> tuple[str | None, tuple[str, ...]]:
    if cell == "":
        return None, ("empty text",)
    return words(cell, "text"), clean_text(cell)[1] if isinstance(cell, str) else ()


def _media_cells(cells: Mapping[str, object]) -> dict[str, object]:
    """Return the one cell that names or holds each modality's file; RecordError when two columns differ on it."""
    named: dict[str, dict[str, object]] = {modality: {} for modality in COLUMNS}
    for modality, columns in COLUMNS.items():
        named[modality] = {c: cells[c] for c in columns if not is_empty(cells.get(c))}
    for column in SEVERAL:
        if isinstance(cells.get(column), (list, tuple)) or (column.endswith("file_names") and cells.get(column)):
            raise RecordError(f"{column} names several files; a record has one image and one audio", "metadata_damaged")
    loose = cells.get("file_name")
    if not is_empty(loose):
        named[_modality_of(loose)]["file_name"] = loose
    for modality, found in named.items():
        if any(cell != next(iter(found.values())) for cell in found.values()):
            raise RecordError(f"columns {' and '.join(found)} name different {modality} files", "metadata_damaged")
    return {modality: next(iter(found.values())) for modality, found in named.items() if found}


def is_empty(cell: object) -> bool:
    """Whether a media cell names and holds nothing."""
    if isinstance(cell, dict):
        return cell.get("bytes") is None and cell.get("path") in (None, "")
    return cell is None or cell == "" or cell != cell  # NaN is what pandas writes for nothing


def _modality_of(name: object) -> str:
    if not isinstance(name, str):
        raise RecordError(
            f"column 'file_name' holds {type(name).__name__} where a name is expected", "metadata_damaged"
        )
    for modality, suffixes in SUFFIXES.items():
        if name.lower().endswith(suffixes):
            return modality
    raise RecordError(
        f"file_name {quoted(name)} is neither image nor audio by its suffix; "
        "name it in image_file_name or audio_file_name",
        "metadata_damaged",
    )


def media_of(cell: object, title: str, finder: Finder, store: MediaStore) -> Media:
    """Return the file that a cell names (text) or holds (bytes, or a Hugging Face struct of bytes and path)."""
    path = None
    if isinstance(cell, dict):
        if set(cell) - {"bytes", "path", "sampling_rate"}:
            raise RecordError(f"{title} is an object other than {{bytes, path}}", "metadata_damaged")
        path, cell = cell.get("path"), cell.get("bytes") if cell.get("bytes") is not None else cell.get("path")
        if isinstance(cell, str) and cell is not path:
            raise RecordError(f"{title} is embedded as text; embedded bytes are read from Parquet", "metadata_damaged")
    if isinstance(cell, bytes):
        name = path.replace("\\", "/").rpartition("/")[2] if isinstance(path, str) else ""
        return store.keep(cell, name[:200] or title)
    if isinstance(cell, str):
        return finder(cell)
    if isinstance(cell, (list, tuple)):
        raise RecordError(f"{title} is a list of {len(cell)}; a record has one image and one audio", "metadata_damaged")
    raise RecordError(f"{title} is {type(cell).__name__}, not a file name", "metadata_damaged")
