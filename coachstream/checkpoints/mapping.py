"""Checkpoints in a mapping: a dict for tests, or whatever of yours behaves like one."""

import threading
from collections.abc import MutableMapping

from .store import Store
from .stored import Stored, refuse_unless_after, seal, unseal

_turn = threading.Lock()  # two stores, on two threads' loops, may share a mapping


class MappingStore(Store):
    """Checkpoints as values of a mapping that you own, under their names.

    As durable as the mapping is. It is used on the event loop, so it should answer quickly. Two
    writers are told apart within this process only.
    """

    def __init__(self, mapping: MutableMapping[str, bytes]) -> None:
        super().__init__()
        self._mapping = mapping

    def __repr__(self) -> str:
        return f"{type(self).__name__}({type(self._mapping).__name__})"

    async def _load(self, name: str) -> Stored | None:
        return self._stored(name)

    async def _save(self, name: str, value: bytes, after: int) -> None:
        with _turn:
            refuse_unless_after(name, self._stored(name), after)
            self._mapping[name] = seal(Stored(after + 1, value))

    def _stored(self, name: str) -> Stored | None:
        sealed = self._mapping.get(name)
        return None if sealed is None else unseal(name, sealed)


class MemoryStore(MappingStore):
    """Checkpoints that live as long as this object: for tests, and work that may begin again."""

    def __init__(self) -> None:
        super().__init__({})

    def __repr__(self) -> str:
        return "MemoryStore()"
