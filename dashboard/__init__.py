"""The Streamlit face of Fusion Lens."""
