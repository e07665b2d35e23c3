"""Shared by the endpoints: the emulator's state, and the random sizes of pages."""

from dataclasses import dataclass
from random import Random

from .cursors import Cursors
from .profile import Profile
from .world import World


@dataclass(frozen=True, kw_only=True)
class EndpointContext:
    """Everything an endpoint needs."""

    world: World
    profile: Profile
    cursors: Cursors
    random: Random
    page_size: tuple[int, int]

    def draw_size(self) -> int:
        """Draw the maximum number of items on the next page."""
        return self.random.randint(*self.page_size)

    def draw_count(self, found: int, size: int) -> int:
        """Draw how many of the items found go on a page of ``size``; sometimes fewer, or none.

        "Sometimes a page might have very few results or might be empty":
        https://developers.samsara.com/docs/pagination.
        """
        count = min(found, size)
        if count and self.random.random() < self.profile.empty_pages:
            return 0
        if count > 1 and self.random.random() < self.profile.short_pages:
            return self.random.randrange(1, count)
        return count
