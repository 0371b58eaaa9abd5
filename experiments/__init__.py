"""Experiments: one research question a file; `python -m experiments list` names them."""
