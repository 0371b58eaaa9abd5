"""How much hangs on an object: for oracles that say that nothing grows."""

from __future__ import annotations

import gc
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any, NamedTuple

CODE = (type, ModuleType, FunctionType, BuiltinFunctionType, MethodType)
"""What belongs to the program and not to the object. Methods lead back to what uses the object."""


class Weight(NamedTuple):
    """Objects that can be reached, and the bytes of all byte strings among them."""

    objects: int
    content: int


def weigh(root: Any, *owners: Any) -> Weight:
    """Weigh everything that can be reached from an object other than through its owners, code aside."""
    seen = {id(root), *map(id, owners)}
    waiting = [root]
    content = 0
    while waiting:
        found = waiting.pop()
        if isinstance(found, (bytes, bytearray)):
            content += len(found)
        for other in gc.get_referents(found):
            if id(other) not in seen and not isinstance(other, CODE):
                seen.add(id(other))
                waiting.append(other)
    return Weight(len(seen), content)
