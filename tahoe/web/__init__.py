"""The gateway: files of the grid over HTTP, in every client node. ``app.py`` is where it grows."""
