"""What the endpoints share: the world they answer from, and how answers are cut into pages."""

from dataclasses import dataclass
from random import Random

from .cursors import Cursors
from .profile import Profile
from .world import World


@dataclass(frozen=True, kw_only=True)
class EndpointContext:
    """Everything an endpoint needs to answer."""

    world: World
    profile: Profile
    cursors: Cursors
    random: Random
    page_size: tuple[int, int]

    def draw_size(self) -> int:
        """Draw how many items the next page may hold."""
        return self.random.randint(*self.page_size)

    def cut(self, found: int, size: int) -> int:
        """Draw how many of the items found go on a page of ``size``; at times fewer, or none.

        "Sometimes a page might have very few results or might be empty", warns
        https://developers.samsara.com/docs/pagination.
        """
        kept = min(found, size)
        if kept and self.random.random() < self.profile.empty_pages:
            return 0
        if kept > 1 and self.random.random() < self.profile.short_pages:
            return self.random.randrange(1, kept)
        return kept
