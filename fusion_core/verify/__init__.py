"""Checks: is the explanation true?"""
