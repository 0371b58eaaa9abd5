"""How hypothesis searches: in the suite always along the same paths, in ``make explore`` along new ones.

A suite that draws other examples every day turns red by chance, on a change that has nothing to do with it. So the
suite repeats itself, and the search for what nobody has thought of has a command of its own; what it finds is
written into the test as an example.
"""

from hypothesis import settings

settings.register_profile("suite", derandomize=True, deadline=None)
settings.register_profile("explore", max_examples=1_000, deadline=None)
settings.load_profile("suite")
