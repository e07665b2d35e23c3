"""Suites for what you may write yourself: a store for checkpoints, a ledger for failed sessions.

Each is a class to subclass in a test module; ordinary tests, for pytest without any plugin.
"""

import pytest

pytest.register_assert_rewrite(f"{__name__}.ledger", f"{__name__}.store")  # failures tell more so

from .ledger import LedgerContract  # noqa: E402  # see above
from .store import StoreContract  # noqa: E402  # see above

__all__ = ["LedgerContract", "StoreContract"]
