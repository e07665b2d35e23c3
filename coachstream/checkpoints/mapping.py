"""Checkpoints in a mapping: a dict for tests, or any mutable mapping of yours."""

from collections.abc import Iterable, MutableMapping

from ..tasks import ForkSafeLock
from .store import Store
from .stored import Stored, check_revision, seal, unseal

_lock = ForkSafeLock()  # stores on the loops of two threads may share a mapping


class MappingStore(Store):
    """Checkpoints as values of a mapping that you own, under their names.

    They are as durable as the mapping. It is used on the event loop, so it should be fast. Saves
    by two writers are detected only within this process.
    """

    def __init__(self, mapping: MutableMapping[str, bytes]) -> None:
        super().__init__()
        self._mapping = mapping

    def __repr__(self) -> str:
        return f"{type(self).__name__}({type(self._mapping).__name__})"

    async def _load(self, name: str) -> Stored | None:
        return self._stored(name)

    async def _save(self, name: str, value: bytes, after: int) -> None:
        with _lock:
            check_revision(name, self._stored(name), after)
            self._mapping[name] = seal(Stored(after + 1, value))

    async def _list(self) -> Iterable[str]:
        return list(self._mapping)

    async def _delete(self, name: str) -> bool:
        with _lock:
            return self._mapping.pop(name, None) is not None

    def _stored(self, name: str) -> Stored | None:
        sealed = self._mapping.get(name)
        return None if sealed is None else unseal(name, sealed)


class MemoryStore(MappingStore):
    """Checkpoints that are lost with this object: for tests, and for work that may start over."""

    def __init__(self) -> None:
        super().__init__({})

    def __repr__(self) -> str:
        return "MemoryStore()"
