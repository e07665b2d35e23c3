"""Times as people type them for ``--since`` and ``--until``."""

from datetime import UTC, datetime, time, timedelta

import pytest
from click.testing import CliRunner

from coachstream import SystemClock
from coachstream.cli import main, tail

ENVIRONMENT = {"SAMSARA_API_TOKEN": "tok-tok-token"}


def parse_since(text: str) -> datetime:
    with tail.command.make_context("tail", ["--since", text]) as context:
        moment = context.params["since"]
    assert isinstance(moment, datetime)
    return moment


@pytest.mark.parametrize(
    ("text", "ago"),
    [
        ("0m", timedelta()),
        ("90s", timedelta(seconds=90)),
        ("30m", timedelta(minutes=30)),
        ("12h", timedelta(hours=12)),
        ("7d", timedelta(days=7)),
        ("1w", timedelta(weeks=1)),
    ],
)
def test_since_can_be_relative(text, ago):
    earliest = SystemClock().now() - ago
    assert earliest <= parse_since(text) <= SystemClock().now() - ago


@pytest.mark.parametrize(
    "text", ["2026-03-01T08:00:00Z", "2026-03-01t08:00:00z", "2026-03-01T09:00:00.000+01:00"]
)
def test_since_can_be_a_timestamp(text, capsys):
    assert parse_since(text).timestamp() == 1772352000
    assert capsys.readouterr().err == ""


def test_since_can_be_a_day_which_begins_in_utc_as_is_said(capsys):
    today = datetime.combine(SystemClock().now().astimezone(UTC), time(), UTC)
    assert today <= parse_since("today") <= today + timedelta(days=1)
    assert parse_since("Yesterday") in {today - timedelta(days=1), today}  # at midnight
    capsys.readouterr()
    assert parse_since("2026-03-01") == datetime(2026, 3, 1, tzinfo=UTC)
    said = "--since 2026-03-01 means 2026-03-01T00:00:00Z: days begin at midnight UTC.\n"
    assert capsys.readouterr().err == said


@pytest.mark.parametrize(
    "text", ["", "soon", "7", "-7d", "7 d", "7y", "99999999999d", "\u0667d", "2026-02-30"]
)
def test_since_is_refused_if_it_is_no_time(text):
    result = CliRunner(env=ENVIRONMENT).invoke(main, ["tail", "--since", text])
    assert result.exit_code == 2
    assert "--since" in result.stderr
    assert "is not a time such as 7d" in result.stderr


def test_since_is_refused_without_a_time_zone():
    result = CliRunner(env=ENVIRONMENT).invoke(main, ["tail", "--since", "2026-03-01T08:00:00"])
    assert result.exit_code == 2
    assert "has no time zone" in result.stderr
