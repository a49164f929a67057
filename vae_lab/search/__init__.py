"""Searches by Optuna: the only package that imports it."""
