"""A session or page that is no JSON holds a feed for some tries, and not for ever."""

import pytest

from coachstream import MalformedSessionError, telemetry
from coachstream.emulator import refuse
from tests.support import payloads
from tests.support.emulated import LONG_AGO, feed
from tests.support.virtual_time import virtual

NEXT = payloads.page(payloads.LEAST_SESSION, endCursor="end", hasNextPage=False)
ODD_PAGE = payloads.page("odd").replace(b'"odd"', b'{"id":"7","sessionNote":"5" off"}')


async def read(*bodies):
    """Return what a stream delivers of these bodies, what is malformed, and the tries it took."""
    malformed = []

    async def settle(error):
        malformed.append(error)

    faults = [refuse(200, body=body) for body in bodies]
    async with feed(faults=faults) as (api, client, events):
        stream = client.sessions.stream(start_time=LONG_AGO, end_time=api.now, on_malformed=settle)
        delivered = [session async for session in stream]
        retried = [one for one in events if isinstance(one, telemetry.RetryScheduled)]
        assert len(api.requests) == len(bodies)
    return delivered, malformed, len(retried)


@virtual
async def test_a_session_that_is_no_json_does_not_hold_the_feed():
    odd = payloads.page(payloads.SESSION, "odd").replace(b'"odd"', b'{"id":"7","severity":NaN}')
    delivered, [error], retried = await read(odd, NEXT)
    assert len(delivered) == 2
    assert error.session_id == "7"
    assert retried == 0


@virtual
async def test_a_page_that_can_not_be_cut_is_tried_again_and_then_malformed_as_a_whole():
    delivered, [error], retried = await read(*[ODD_PAGE] * 5, NEXT)
    assert len(delivered) == 1
    assert error.raw == ODD_PAGE
    assert retried == 4


@virtual
async def test_a_page_that_is_readable_at_the_second_try_is_not_malformed():
    delivered, malformed, retried = await read(ODD_PAGE, NEXT[:200], NEXT)
    assert (len(delivered), malformed, retried) == (1, [], 2)


@virtual
async def test_without_on_malformed_the_page_is_raised_and_not_passed():
    async with feed(faults=[refuse(200, body=ODD_PAGE)] * 5) as (api, client, _):
        stream = client.sessions.stream(start_time=LONG_AGO, end_time=api.now)
        for _ in range(2):
            with pytest.raises(MalformedSessionError, match="a whole page") as caught:
                await anext(stream)
        assert caught.value.raw == ODD_PAGE
        assert stream.position.cursor is None
