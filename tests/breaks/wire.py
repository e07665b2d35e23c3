"""Deliberate breaks of ``wire``."""

from tests.breaks.mutation import Mutation

MUTATIONS = (
    Mutation(
        "a malformed session affects no other",
        "wire/pages",
        "entries=tuple(session(raw, keep_raw=keep_raw) for raw in records),",
        "entries=(),",
        ("tests/wire/test_pages.py",),
    ),
    Mutation(
        "a session that is no JSON affects no other",
        "wire/records",
        "        parts = members(text)\n",
        "        parts = members(b'')\n",
        ("tests/wire/test_pages.py",),
    ),
    Mutation(
        "a page is cut only where it is certain",
        "wire/records",
        "            if not open_brackets or open_brackets.pop() != kind:",
        "            if not open_brackets or not open_brackets.pop():",
        ("tests/wire/test_pages.py",),
    ),
    Mutation(
        "a page that can't be cut holds the feed for some tries only",
        "feed/fetcher",
        "                if next(undecodable) < _TRIES:",
        "                if True:",
        ("tests/wire/test_unreadable_pages.py",),
    ),
    Mutation(
        "a page that can't be cut is tried again first",
        "feed/fetcher",
        "                if next(undecodable) < _TRIES:",
        "                if next(undecodable) < 1:",
        ("tests/wire/test_unreadable_pages.py",),
    ),
    Mutation(
        "nobody guesses which of two paginations counts",
        "wire/records",
        "if len(found) == 1 else None",
        "if found else None",
        ("tests/wire/test_pages.py",),
    ),
    Mutation(
        "a time without an offset is in UTC",
        "wire/lenient",
        "moment.replace(tzinfo=UTC)).astimezone(UTC)",
        "moment).astimezone(UTC)",
        ("tests/wire/test_pages.py", "tests/test_official_sdk.py"),
    ),
    Mutation(
        "a time is read the same whatever else is odd in its session",
        "wire/lenient",
        "        return msgspec.convert(value, Time)\n",
        "        return msgspec.convert(None, Time)\n",
        ("tests/wire/test_pages.py",),
    ),
    Mutation(
        "external ids are text whatever their names",
        "wire/lenient",
        'known = value if name == "externalIds" else {',
        "known = {",
        ("tests/wire/test_pages.py",),
    ),
    Mutation(
        "an escaped backslash escapes nothing after it",
        "wire/lenient",
        "    text = body.replace(_ESCAPED_BACKSLASH, _STAND_IN)",
        "    text = body",
        ("tests/wire/test_pages.py",),
    ),
    Mutation(
        "every id is checked for a comma",
        "wire/query",
        "    for value in ids:\n",
        "    for value in ids[:1]:\n",
        ("tests/wire/test_query.py",),
    ),
    Mutation(
        "the repr of a page shows no bytes of it",
        "wire/pages",
        'if name != "body"]',
        "]",
        ("tests/test_brief.py",),
    ),
)
