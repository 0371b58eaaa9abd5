"""Notebooks: scripts that tell something and show it, rendered to pages in docs/. See ``__main__``."""
