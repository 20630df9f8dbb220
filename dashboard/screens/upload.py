"""The upload panel: one record from text, an image and an audio file; any may be absent."""

from __future__ import annotations

import streamlit as st

from dashboard import session
from dashboard.views.escape import markdown_safe
from fusion_core.errors import RecordError
from fusion_core.model import FusedModel

IMAGES = ["png", "jpg", "jpeg", "webp", "bmp", "tif", "tiff", "gif"]
AUDIO = ["wav", "flac", "ogg", "opus"]


def upload_panel(loaded: FusedModel) -> None:
    """Ask for a record and keep it for this session when it can be read; otherwise say what is wrong with it."""
    with st.form("upload form", border=False):
        text = st.text_area("Text", key="upload text") if "text" in loaded.modalities else ""
        image = st.file_uploader("Image", IMAGES, key="upload image") if "image" in loaded.modalities else None
        audio = st.file_uploader("Audio", AUDIO, key="upload audio") if "audio" in loaded.modalities else None
        label = st.selectbox("True class, if known", ["", *loaded.classes], format_func=lambda c: c or "not known")
        sent = st.form_submit_button("Inspect this record", type="primary")
    if not sent:
        return
    try:
        record = session.uploaded_record(
            text,
            (image.name, image.getvalue()) if image else None,
            (audio.name, audio.getvalue()) if audio else None,
            label or None,
        )
        loaded.prepare([record])
    except RecordError as error:
        st.error(markdown_safe(str(error)))
        return
    session.show_upload(record)
    st.rerun()
