"""Pure functions from traces and tables to what is drawn; no streamlit, no torch."""
