"""Decoding of the documented payloads, field by field."""

import json
from datetime import UTC, datetime

import msgspec
import pytest

from coachstream import (
    BehaviorType,
    CoachingType,
    EventSourceType,
    Report,
    SessionStatus,
    models,
)
from coachstream.models import CoachAssignment, CoachingSession, Pagination
from coachstream.wire import assignments, pages
from tests.support import payloads

TIME = datetime(2019, 6, 13, 19, 8, 25, tzinfo=UTC)


def test_every_documented_field_of_a_session_is_read():
    (session,) = pages.sessions_page(payloads.page(payloads.SESSION)).sessions
    (behavior,) = session.behaviors
    assert behavior.coachable_events is not None
    (event,) = behavior.coachable_events
    assert session.id == payloads.UUID
    assert session.assigned_coach_id == "45646"
    assert session.coaching_type == CoachingType.UNSHARED
    assert session.completed_at_time == TIME
    assert session.completed_coach_id == "45646"
    assert session.driver.driver_id == "0987"
    assert session.driver.external_ids == {"payrollId": "ABFS18600"}
    assert session.due_at_time == TIME
    assert session.session_note == "Need to wear seatbelt even for short trips."
    assert session.session_status == SessionStatus.COMPLETED
    assert session.updated_at_time == TIME
    assert session.key == (payloads.UUID, TIME)
    assert behavior.id == payloads.UUID
    assert behavior.coachable_behavior_type == BehaviorType.FORWARD_COLLISION_WARNING
    assert behavior.last_coached_time == TIME
    assert behavior.updated_at_time == TIME
    assert behavior.note == "Need to wear seatbelt even for short trips."
    assert event.id == payloads.UUID
    assert event.linkage is not None
    assert event.linkage.source_id == "1234"
    assert event.linkage.source_type == EventSourceType.TRIAGE_EVENT


def test_optional_fields_may_be_absent():
    (session,) = pages.sessions_page(payloads.page(payloads.LEAST_SESSION)).sessions
    assert session.behaviors == ()
    assert session.driver.external_ids is None
    assert session.assigned_coach_id is None
    assert session.completed_at_time is None
    assert session.completed_coach_id is None
    assert session.session_note is None
    assert session.raw is None


def test_both_forms_of_an_assignment_are_read():
    (listed,), pagination = assignments.assignments_page(payloads.page(payloads.ASSIGNMENT))
    assert listed == CoachAssignment(
        driver=models.Driver(driver_id="0987", external_ids={"payrollId": "ABFS18600"}),
        coach_id="45646",
        created_at_time=TIME,
        updated_at_time=TIME,
    )
    assert pagination == Pagination(end_cursor="MjkY", has_next_page=True)
    changed = assignments.assignment_change(msgspec.json.encode({"data": payloads.CHANGE}))
    assert changed == CoachAssignment(
        driver=models.Driver(driver_id="45646"),
        coach_id="45646",
        created_at_time=TIME,
        updated_at_time=TIME,
    )


@pytest.mark.parametrize("coach", [{}, {"coachId": ""}, {"coachId": None}])
def test_a_missing_or_empty_coach_is_none(coach):
    bare = {name: value for name, value in payloads.CHANGE.items() if name != "coachId"}
    changed = assignments.assignment_change(msgspec.json.encode({"data": bare | coach}))
    assert changed.coach_id is None
    bare = {name: value for name, value in payloads.ASSIGNMENT.items() if name != "coachId"}
    (listed,), _ = assignments.assignments_page(payloads.page(bare | coach))
    assert isinstance(listed, CoachAssignment)
    assert listed.coach_id is None


def test_constants_hold_the_documented_values():
    def values(names):
        return {value for name, value in vars(names).items() if name.isupper()}

    assert values(SessionStatus) == {"unknown", "upcoming", "completed", "deleted"}
    assert values(CoachingType) == {
        "fullySharedWithManager",
        "selfCoaching",
        "unknown",
        "unshared",
        "withManager",
    }
    assert len(values(BehaviorType)) == 42  # the OpenAPI description lists 43, rollingStop twice
    assert {"nearCollison", "hosViolation", "idling"} <= values(BehaviorType)
    assert values(EventSourceType) == {
        "safetyEvent",
        "triageEvent",
        "hosViolation",
        "idling",
    }


def test_a_session_can_be_encoded_and_decoded():
    (session,) = pages.sessions_page(payloads.page(payloads.SESSION)).sessions
    again = msgspec.json.decode(msgspec.json.encode(session), type=CoachingSession)
    assert again == session


def test_a_session_as_a_row():
    (session,) = pages.sessions_page(payloads.page(payloads.SESSION), keep_raw=True).sessions
    row = session.to_dict()
    assert row.keys() == set(CoachingSession.__struct_fields__) - {"raw"}
    assert row["driver"] == {"driver_id": "0987", "external_ids": {"payrollId": "ABFS18600"}}
    assert row["updated_at_time"] == TIME
    (behavior,) = row["behaviors"]
    assert behavior["coachable_behavior_type"] == "forwardCollisionWarning"
    assert behavior["coachable_events"][0]["linkage"]["source_id"] == "1234"
    assert json.loads(json.dumps(row, default=str))["id"] == payloads.UUID
    row["driver"]["external_ids"]["payrollId"] = "another"
    assert session.driver.external_ids == {"payrollId": "ABFS18600"}


def test_an_assignment_a_position_and_a_report_as_plain_values():
    driver = models.Driver(driver_id="1")
    assert CoachAssignment(driver=driver, coach_id="2").to_dict() == {
        "driver": {"driver_id": "1", "external_ids": None},
        "coach_id": "2",
        "created_at_time": None,
        "updated_at_time": None,
    }
    position = models.Position(query="q", origin="o", settled=(("s", TIME),))
    report = Report(handled=1, given_up=2, unsettled=3, position=position)
    assert report.to_dict()["position"]["settled"] == [["s", TIME]]


def test_the_repr_of_a_position_and_of_a_report_is_one_line():
    keys = tuple((f"session {number}", TIME) for number in range(500))
    position = models.Position(
        query="startTime=" + "x" * 5000,
        origin="o",
        cursor="c\n" * 500,
        settled=keys,
        recent=keys,
        watermark=TIME,
        digests=("0123456789ab",) * 1000,
    )
    report = Report(handled=1, given_up=2, unsettled=3, position=position)
    for shown in (repr(position), repr(report)):
        assert shown.isprintable()
        assert len(shown) < 400
        assert "settled=500" in shown
        assert TIME.isoformat() in shown
