"""Post-mortems: what the records say stands in them, exactly, and nothing of a target does more."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from markdown_it import MarkdownIt

from monitor.core import acts, postmortem
from monitor.core.incidents import NewsKind
from monitor.core.model.changes import Changes
from monitor.core.model.incident import TimelineEntry
from monitor.core.model.notice import DeliveryState
from monitor.core.model.rollback import RollbackState, Step, StepState
from monitor.core.postmortem import exact
from tests.support.rolling import make_deploy, make_rollback
from tests.support.watching import Story, answer, at, make_check, make_endpoint, make_story

TEMPLATE = [
    "Summary",
    "Timeline",
    "Root Cause Analysis",
    "Resolution",
    "Lessons Learned",
    "Action Items",
    "Prevention Measures",
]
"""The sections of the runbook's template, in its order."""

READER = MarkdownIt("commonmark").enable("table")
HOSTILE = "# well\n![x](https://evil.example/x.png) <b>|</b> [y](https://evil.example) `z`"


def tell(story: Story) -> None:
    """Deliver all that is queued, two seconds after it was."""
    done = tuple(
        replace(
            one,
            state=DeliveryState.DELIVERED,
            delivered_at=one.queued_at + timedelta(seconds=2),
        )
        for one in story.engine.situation.deliveries.values()
        if one.pending
    )
    story.engine.situation.apply(Changes(deliveries=done))


def write(story: Story) -> str:
    situation = story.engine.situation
    (incident,) = situation.incidents.values()
    case = postmortem.gather(
        incident,
        situation.timelines[incident.id],
        situation,
        story.engine.directory,
        story.now,
    )

    return postmortem.write(case)


def headings(text: str) -> list[tuple[str, str]]:
    tokens = READER.parse(text)

    return [
        (token.tag, tokens[place + 1].content)
        for place, token in enumerate(tokens)
        if token.type == "heading_open"
    ]


def whole_story() -> Story:
    """Let a deploy break a shop, a person take it on, a rollback mend it."""
    story = make_story(make_endpoint(), make_endpoint(name="page"))
    situation = story.engine.situation
    situation.apply(
        Changes(
            deploys=(
                make_deploy("1.0", at=at(-7200), finished_at=at(-7200)),
                make_deploy("1.1", at=at(-60), finished_at=at(-60)),
            )
        )
    )
    story.sees(500, 500, 500)
    story.sees(500, 500, 500, endpoint="page")
    tell(story)
    (incident,) = story.open
    story.engine.act(acts.acknowledge(incident, "ana", at(200)), at(200))
    rollback = make_rollback(
        "r1",
        deploy_id=incident.deploy_id,
        incident=incident.id,
        triggers=("api.health",),
        reason="api.health: status is 500, expected 2xx",
        tripped_at=at(201),
        started_at=at(201),
        effect_done_at=at(205),
        ended_at=at(260),
        from_version="1.1",
        to_version="1.0",
        approved_by="bob",
        state=RollbackState.RECOVERED,
    )
    step = Step(
        key="r1.1.1",
        rollback="r1",
        level=1,
        number=1,
        kind="command",
        state=StepState.DONE,
        attempt=1,
        at=at(205),
        detail="exit 0",
    )
    situation.apply(Changes(rollbacks=(rollback,), steps=(step,)))
    story.seconds = 230
    story.sees(200, 200)
    story.sees(200, 200, endpoint="page")

    return story


def test_all_sections_of_the_template_are_there_in_its_order() -> None:
    text = write(whole_story())

    found = [title for tag, title in headings(text) if tag == "h2"]
    assert [title for title in found if title in TEMPLATE] == TEMPLATE
    assert headings(text)[0] == ("h1", "Post-Mortem: 2026-07-01 shop outage")


def test_each_moment_is_named_with_how_long_after_the_first_failing_sample_it_was() -> None:
    lines = write(whole_story()).splitlines()

    moments = [line for line in lines if line.startswith("| ") and " | 2026-07-01 12:" in line]
    assert [line for line in moments if line.count("|") == 4][:8] == [
        "| First failing sample | 2026-07-01 12:00:00 | 0 s |",
        "| Opened | 2026-07-01 12:01:00 | 1 min |",
        "| Notices queued | 2026-07-01 12:01:00 | 1 min |",
        "| Told: slack | 2026-07-01 12:01:02 | 1 min 2 s |",
        "| Acknowledged by ana | 2026-07-01 12:03:20 | 3 min 20 s |",
        "| Rollback begun | 2026-07-01 12:03:21 | 3 min 21 s |",
        "| Rollback done | 2026-07-01 12:03:25 | 3 min 25 s |",
        "| Rollback recovered | 2026-07-01 12:04:20 | 4 min 20 s |",
    ]


def test_each_check_says_when_it_failed_was_told_and_recovered() -> None:
    lines = write(whole_story()).splitlines()

    rows = [line.split(" | ") for line in lines if ".health | high" in line]
    assert [(row[0], row[2][-8:], row[3][-8:], row[4][-8:], row[6]) for row in rows] == [
        ("| api.health", "12:00:00", "12:01:00", "12:01:02", "4 min 20 s"),
        ("| page.health", "12:01:30", "12:02:30", "12:02:32", "3 min 50 s"),
    ]


def test_the_rollback_is_told_with_its_proof_and_who_agreed() -> None:
    text = write(whole_story())

    assert "- **Versions**: 1.1 → 1.0" in text
    assert "- **Approved by**: bob" in text
    assert "- **Proof**: recovered; api.health recovered 55 s after it was done" in text
    assert "| 1.1 command | done | 1 | 2026-07-01 12:03:25 | exit 0 |" in text


def test_deploys_are_listed_with_the_one_that_was_live() -> None:
    text = write(whole_story())

    assert "| 1.1, live when it began | planned | finished | 2026-07-01 11:59:00 | 1 min |" in text
    assert "| 1.0 | planned | finished | 2026-07-01 10:00:00 | 2 h |" in text


def test_who_did_what_is_listed_and_what_people_have_to_add_is_left_open() -> None:
    text = write(whole_story())

    assert "| 2026-07-01 12:03:20 | ana | ana has taken it on |" in text
    assert "- **Impact**: *what users noticed, and how many of them*" in text
    assert "3. Where we got lucky: *…*" in text
    assert "- [ ] *Owner* - *what, and until when*" in text


def test_one_that_goes_on_says_so() -> None:
    story = make_story()
    story.sees(500, 500, 500)
    text = write(story)

    assert "**goes on**" in text
    assert "so far" in text
    assert "It goes on." in text
    assert "Nothing was rolled back." in text
    assert "No act of a person is recorded." in text


@pytest.mark.parametrize(
    "rewritten",
    [{"text": "also fails: page.health"}, {"details": ()}],
    ids=["whatever the sentence is", "by its words in a line of an older release"],
)
def test_a_line_says_of_which_check_it_is(rewritten: dict[str, Any]) -> None:
    story = whole_story()
    (timeline,) = story.engine.situation.timelines.values()
    (joined,) = (entry for entry in timeline if entry.event == NewsKind.JOINED)
    story.engine.situation.timelines[joined.incident] = [
        replace(entry, **rewritten) if entry is joined else entry for entry in timeline
    ]

    (row,) = (line for line in write(story).splitlines() if "page.health | high" in line)
    assert row.split(" | ")[3][-8:] == "12:02:30"


def test_who_acted_is_named_once_in_a_line() -> None:
    lines = write(whole_story()).splitlines()

    assert "- 12:03:20 - ana has taken it on" in lines


def test_evidence_is_kept_as_it_was_seen() -> None:
    story = make_story()
    story.sees(500, 500, 500)
    (incident,) = story.open
    entry = TimelineEntry(
        incident=incident.id,
        sequence=incident.sequence + 1,
        at=story.now,
        actor="monitor",
        event="evidence",
        text="last logs",
        evidence="one\n```\n# two",
    )
    story.engine.situation.apply(Changes(timeline=(entry,)))
    text = write(story)

    (block,) = [token for token in READER.parse(text) if token.type == "fence"]
    assert block.content == "one\n```\n# two\n"


def test_nothing_that_a_target_or_a_person_says_forges_anything() -> None:
    service = f"shop {HOSTILE}"
    story = make_story(make_endpoint(make_check(service=service), service=service))
    for seconds in (0, 30, 60):
        story.takes(replace(answer(500, seconds=seconds), body=HOSTILE.encode()))
    (incident,) = story.open
    story.engine.act(acts.note(incident, HOSTILE, HOSTILE, story.now), story.now)
    clean = make_story()
    clean.sees(500, 500, 500)
    (other,) = clean.open
    clean.engine.act(acts.note(other, "ana", "a note", clean.now), clean.now)
    text = write(story)

    assert [one for one in headings(text) if one[0] != "h1"] == [
        one for one in headings(write(clean)) if one[0] != "h1"
    ]
    inline = [child for token in READER.parse(text) for child in token.children or ()]
    assert not {"image", "html_inline", "code_inline"} & {one.type for one in inline}
    links = [one.attrs["href"] for one in inline if one.type == "link_open"]
    assert not [one for one in links if "evil" in str(one).replace(f"{incident.id}", "")]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"),
        (0.44, "0.4 s"),
        (59.96, "60 s"),
        (60, "1 min"),
        (3723, "1 h 2 min 3 s"),
        (90_000, "1 d 1 h"),
    ],
)
def test_a_duration_is_not_rounded_to_a_sentence(seconds: float, said: str) -> None:
    assert exact(timedelta(seconds=seconds)) == said
