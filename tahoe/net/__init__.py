"""The real world: nodes on disk, their brokers, and actors run by asyncio. ``node.py`` is the way in."""
