"""The laboratory: whole grids of the real actors, and years of weather over thousands of files, in one process.

::

    from tahoe.sim import SimGrid, weather, worlds

    world = worlds.friendnet(servers=12)
    grid = SimGrid(seed=1, servers=12, options=world.options())
    capability = grid.upload(b"some bytes" * 1000)
    storms = weather.forecast(weather.rough(), world.locations(), weather.DAY, seed=1)
    grid.apply(weather.faults(storms))
    grid.run(weather.DAY)
    assert grid.download(capability) == b"some bytes" * 1000

See docs/simulation.md, and ARCHITECTURE.md for what lives here.
"""

from tahoe.sim import montecarlo, weather, worlds
from tahoe.sim.blueprint import GridOptions
from tahoe.sim.grid import SimGrid

__all__ = ["GridOptions", "SimGrid", "montecarlo", "weather", "worlds"]
