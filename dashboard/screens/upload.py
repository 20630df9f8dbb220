"""Upload: one record that is typed, dropped, photographed or recorded, or a whole record set."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from dashboard import session, state
from dashboard.uploads import File, Upload
from dashboard.views.escape import markdown_safe
from dashboard.views.exports import refusals_csv, refusals_jsonl
from dashboard.views.labels import waiting
from dashboard.views.summary import left_out_table, reasons, summary
from fusion_core.errors import FusionError
from fusion_core.model import FusedModel
from fusion_core.types import MODALITIES

IMAGES = ["png", "jpg", "jpeg", "webp", "bmp", "tif", "tiff", "gif"]
AUDIO = ["wav", "flac", "ogg", "opus", "aif", "aiff"]
SETS = ["zip", "csv", "jsonl", "parquet"]
ABOUT_SETS = (
    "A zip with `metadata.csv`, `.jsonl` or `.parquet` and the files it names, or one such table by itself (Hugging "
    "Face ImageFolder and AudioFolder names; Parquet may hold the files). Columns: `text`, `image_file_name`, "
    "`audio_file_name` or `file_name`; `id`, `label` and `timestamp` if known."
)

PRIVATE = "Read on this server only, seen in this browser only. Nothing is sent anywhere else."


def offer_upload(loaded: FusedModel) -> None:
    """Place the button that opens the panel."""
    if st.button("Upload", key="open upload", icon=":material/upload:", width="stretch"):
        upload_panel(loaded)


@st.dialog("Inspect something of your own", width="large")
def upload_panel(loaded: FusedModel) -> None:
    """Ask for a record or a record set; keep it for this browser when any of it can be read."""
    single, whole = st.tabs(["One record", "A record set"])
    with single:
        _ask_record(loaded)
    with whole:
        _ask_set(loaded.modalities, "Open this record set", _open)
    st.caption(PRIVATE)


@st.dialog("Records of your own", width="large")
def set_panel(read: Callable[[str], None]) -> None:
    """Ask for a record set of any modalities; `read` is told its key, and the page is drawn anew."""

    def keep(upload: Upload) -> None:
        read(session.keep_upload(upload))
        st.rerun()

    _ask_set(MODALITIES, "Read this record set", keep)
    st.caption(PRIVATE)


def _ask_record(loaded: FusedModel) -> None:
    text = st.text_area("Text", key="upload text", height=90) if "text" in loaded.modalities else ""
    left, right = st.columns(2)
    with left:
        image = _ask_file("image", IMAGES, "photo") if "image" in loaded.modalities else None
    with right:
        audio = _ask_file("audio", AUDIO, "note") if "audio" in loaded.modalities else None
    classes = ["", *loaded.classes]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        label = st.selectbox(
            "True class, if known", classes, format_func=lambda c: c or "not known", key="upload label"
        )
        sent = st.button("Inspect this record", type="primary", key="inspect record")
    if not sent:
        return
    try:
        with st.spinner("Reading."):
            upload = session.uploaded_record(loaded, text, image, audio, label or None)
    except FusionError as error:
        st.error(markdown_safe(str(error)))
        return
    _open(upload)


def _ask_file(modality: str, kinds: list[str], live: str) -> File | None:
    """Return a file that was dropped, or what the camera or microphone took."""
    words = {"photo": "Take a photo", "note": "Record a note"}
    way = st.segmented_control(
        modality.capitalize(),
        ["file", live],
        default="file",
        format_func=lambda w: words.get(w, "File"),
        key=f"{modality} way",
    )
    if way == "photo":
        taken = st.camera_input("Photo", key="upload photo", label_visibility="collapsed")
    elif way == "note":
        taken = st.audio_input("Note", key="upload note", label_visibility="collapsed")
    else:
        taken = st.file_uploader(modality.capitalize(), kinds, key=f"upload {modality}", label_visibility="collapsed")
    return (taken.name, taken.getvalue()) if taken else None


def _ask_set(modalities: Sequence[str], said: str, read: Callable[[Upload], None]) -> None:
    """Read a record set, every file of these modalities once; say what was refused when nothing is left."""
    file = st.file_uploader("Zip, CSV, JSON lines or Parquet", SETS, key="upload set", help=ABOUT_SETS)
    beside = st.empty()
    if not st.button(said, type="primary", key="open set", disabled=file is None) or file is None:
        return
    try:
        beside.progress(0.0, text="Reading the record set.")
        upload = session.uploaded_set(
            modalities,
            (file.name, file.getvalue()),
            lambda done, of: beside.progress(done / max(1, of), text=f"Checked {done:,} of {of:,} rows."),
            lambda ahead: beside.caption(waiting(ahead)),
        )
    except FusionError as error:
        beside.error(markdown_safe(str(error)))
        return
    if not upload.records.records:
        with beside.container():
            st.error("No row of this record set could be read.")
            show_left_out(upload)
        return
    read(upload)


def _open(upload: Upload) -> None:
    state.move_to(session.keep_upload(upload), "")
    st.rerun()


def show_left_out(upload: Upload) -> None:
    """Say what of an upload was left out and why, with the list to take away; nothing when all of it was read."""
    rows, left_out = len(upload.records), upload.left_out
    if not left_out:
        return
    if rows == 1:
        without = " The record is shown without it." if upload.records.records else ""
        st.warning(markdown_safe(" ".join(f"{r.message}." for r in left_out) + without))
        return
    with st.expander(
        markdown_safe(f"{upload.name} · {summary(rows, upload.refused, len(upload.kept_in_part))}"),
        icon=":material/report:",
    ):
        st.caption("  \n".join(markdown_safe(reason) for reason in reasons(left_out)))
        st.dataframe(left_out_table(left_out), hide_index=True, width="stretch", height="auto")
        with st.container(horizontal=True):
            for name, what, suffix, kind in (
                ("CSV, safe for spreadsheets", refusals_csv(left_out), "csv", "text/csv"),
                ("JSON lines, exact", refusals_jsonl(left_out), "jsonl", "application/jsonl"),
            ):
                st.download_button(name, what, f"left-out.{suffix}", kind, key=f"left out {suffix}", on_click="ignore")
