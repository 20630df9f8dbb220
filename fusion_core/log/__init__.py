"""Prediction logs: what a service answered, kept in checked Parquet parts and content-addressed media."""
