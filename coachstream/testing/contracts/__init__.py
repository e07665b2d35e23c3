"""Test suites for your own checkpoint stores and ledgers of failed sessions.

Each is a class to subclass in a test module. The tests are ordinary ones and need no pytest plugin.
"""

import pytest

pytest.register_assert_rewrite(f"{__name__}.ledger", f"{__name__}.store")  # shows failed values

from .ledger import LedgerContract  # noqa: E402  # see above
from .store import StoreContract  # noqa: E402  # see above

__all__ = ["LedgerContract", "StoreContract"]


def __dir__() -> list[str]:
    return __all__
