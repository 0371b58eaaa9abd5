"""The gateway's pages for people: drawn by the server, complete without a script, and nothing leaves the machine.

::

    what the node knows  ──►  a view (pure: facts in, a template's words out)  ──►  template  ──►  one answer
    status, listings          welcome directory about transfers ...                templates/     render.py

A view never asks anybody: it is given facts and returns plain values, so it is tested without HTTP. ``routes.py``
gathers the facts.
"""

from tahoe.web.pages.routes import page_routes

__all__ = ["page_routes"]
