"""Of what people are not told for now: what depends on an outage, maintenance, silences."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from monitor.core import acts
from monitor.core.model.changes import Changes
from monitor.core.model.endpoint import Severity, Signal
from monitor.core.model.incident import IncidentClass, Withheld
from monitor.core.model.service import Directory, Service
from monitor.core.withholding import SETTLING, down_dependency, in_maintenance
from tests.support.depending import NAMES, NIGHTLY, Chain, make_chain, make_silence
from tests.support.watching import at, make_check, make_directory, make_endpoint, make_story


def test_what_depends_on_an_outage_is_not_told_by_itself() -> None:
    chain = make_chain()
    chain.fail("database")
    chain.fail("shop")

    assert chain.heard == [("database", "opened"), ("database", "updated")]
    assert chain.told[1].notice.headline.startswith(
        "database: shop, which depends on it, fails as well (high, since"
    )
    assert chain.told[1].notice.affected == ("shop",)
    hold = chain.hold("shop")
    assert hold is not None
    assert (hold.why, hold.by) == (Withheld.DEPENDENCY, chain.of("database").id)
    assert chain.lines("shop") == ["opened", "withheld"]
    assert chain.lines("database") == ["opened", "affects"]


def test_who_recovers_with_what_it_depends_on_is_never_told_of() -> None:
    chain = make_chain()
    chain.fail("database")
    chain.fail("shop")
    chain.look(database=200, shop=500)
    chain.look(database=200, shop=200)
    chain.look(database=200, shop=200)
    chain.tick(600)

    assert not chain.of("shop").open
    assert [event for service, event in chain.heard if service == "shop"] == []
    assert chain.told[-1].notice.affected == ("shop",)
    assert chain.heard[-1] == ("database", "resolved")


def test_what_still_fails_afterwards_is_told_as_new_by_the_next_sample() -> None:
    chain = make_chain()
    chain.fail("database")
    chain.fail("shop")
    chain.recover("database")
    before = chain.heard[-1]
    chain.look(shop=500)

    assert before == ("database", "resolved")
    assert chain.heard[-1] == ("shop", "opened")
    assert chain.told[-1].notice.since == chain.of("shop").since
    assert chain.hold("shop") is None
    assert chain.lines("shop") == ["opened", "withheld", "released"]


def test_without_a_sample_it_is_told_after_a_while() -> None:
    chain = make_chain()
    chain.fail("database")
    chain.fail("shop")
    chain.recover("database")
    chain.tick(SETTLING.total_seconds() - 31)
    before = chain.heard[-1]
    chain.tick(SETTLING.total_seconds())

    assert before == ("database", "resolved")
    assert chain.heard[-1] == ("shop", "opened")


def test_whoever_was_told_before_hears_once_that_it_still_fails_and_of_the_end() -> None:
    chain = make_chain()
    chain.fail("shop")
    chain.fail("database")
    chain.look(shop=500)
    chain.recover("database")
    chain.look(shop=500)
    chain.look(shop=500)
    chain.recover("shop")

    assert chain.heard == [
        ("shop", "opened"),
        ("database", "opened"),
        ("database", "resolved"),
        ("shop", "updated"),
        ("shop", "resolved"),
    ]
    assert "database has recovered, and it still fails" in chain.told[3].notice.headline


def test_its_clock_stands_still_meanwhile() -> None:
    chain = make_chain()
    chain.fail("shop")
    chain.fail("database")
    attention = chain.of("shop").attention
    assert attention.hold is not None
    known_for = attention.hold.since - at(60)
    chain.recover("database")
    chain.look(shop=500)
    later = chain.of("shop").attention

    assert attention.lasted(at(9_000)) < known_for
    assert later.hold is None
    assert later.held > timedelta(seconds=60)
    assert later.lasted(at(chain.seconds)) < at(chain.seconds) - at(60) - later.held + known_for


def test_the_end_of_what_was_told_is_told_while_it_is_withheld() -> None:
    chain = make_chain()
    chain.fail("shop")
    chain.fail("database")
    chain.recover("shop")

    assert chain.heard[-1] == ("shop", "resolved")


def test_the_lowest_outage_is_the_reason_and_another_reason_is_a_line_only() -> None:
    chain = make_chain()
    chain.fail("api")
    chain.fail("shop")
    by_api = chain.hold("shop")
    told = len(chain.told)
    chain.fail("database")
    by_database = chain.hold("shop")

    assert by_api is not None
    assert by_database is not None
    assert by_api.by == chain.of("api").id
    assert by_database.by == chain.of("database").id
    assert by_database.since == by_api.since
    assert chain.lines("shop") == ["opened", "withheld", "withheld"]
    assert [row.notice.service for row in chain.told[told:]] == ["database"]
    assert set(chain.told[-1].notice.affected) == {"api", "shop"}


def test_when_the_lowest_recovers_the_next_one_is_the_reason() -> None:
    chain = make_chain()
    chain.fail("database", "api", "shop")
    chain.recover("database")
    chain.look(api=500, shop=500)

    hold = chain.hold("shop")
    assert hold is not None
    assert hold.by == chain.of("api").id
    assert chain.heard[-1][0] == "api"
    assert ("shop", "opened") not in chain.heard[3:]


def test_a_finding_neither_withholds_nor_is_withheld() -> None:
    shop, _, database = NAMES
    chain = Chain(
        make_story(
            make_endpoint(
                make_check(endpoint="shop", service=shop),
                make_check(Signal.CERTIFICATE, endpoint="shop", service=shop),
                name="shop",
                service=shop,
            ),
            make_endpoint(
                make_check(Signal.CERTIFICATE, endpoint="database", service=database),
                make_check(endpoint="database", service=database),
                name="database",
                service=database,
            ),
            directory=make_directory(Service(name=shop, depends_on=(database,))),
        )
    )
    for _ in range(3):
        chain.look(database="cert")
    chain.fail("shop")
    withheld = [one for one in chain.story.open if one.attention.hold is not None]
    chain.fail("database")
    for _ in range(3):
        chain.look(shop="cert")

    assert withheld == []
    (finding,) = [one for one in chain.story.open if one.klass is IncidentClass.FINDING]
    assert finding.service == "shop"
    assert finding.attention.hold is None


def test_many_that_are_affected_are_told_of_each_time_they_are_twice_as_many() -> None:
    names = [f"shop-{number}" for number in range(9)]
    services = [Service(name=name, depends_on=("database",)) for name in names]
    chain = Chain(
        make_story(
            *(make_endpoint(name=name, service=name) for name in ("database", *names)),
            directory=make_directory(*services, Service(name="database")),
        )
    )
    chain.fail("database")
    for name in names:
        chain.fail(name)

    assert [len(row.notice.affected) for row in chain.told] == [0, 1, 2, 4, 8]
    assert chain.lines("database").count("affects") == 9


def test_maintenance_withholds_and_what_fails_when_it_ends_is_told_then() -> None:
    chain = make_chain(NIGHTLY)
    chain.fail("shop")
    chain.fail("database")
    held = chain.hold("shop")
    chain.recover("database")
    by_maintenance = chain.hold("shop")
    chain.seconds = 600
    chain.tick(0)
    chain.look(shop=500)

    assert held is not None
    assert held.why is Withheld.DEPENDENCY
    assert by_maintenance is not None
    assert (by_maintenance.why, by_maintenance.by) == (Withheld.MAINTENANCE, "maintenance 1")
    assert by_maintenance.until == at(600)
    assert [one for one in chain.heard if one[0] == "shop"] == [("shop", "opened")]
    assert chain.lines("shop") == ["opened", "withheld", "withheld", "withheld", "released"]


def test_what_opens_and_ends_within_maintenance_is_told_to_nobody_and_recorded() -> None:
    chain = make_chain(NIGHTLY)
    chain.fail("shop")
    chain.recover("shop")
    chain.tick(900)

    assert chain.told == []
    assert chain.lines("shop") == ["opened", "withheld", "check_closed", "resolved"]
    texts = [line.text for line in chain.engine.situation.timelines[chain.of("shop").id]]
    assert "people are not told for now: maintenance 1 (new disks) lasts until" in texts[1]


def test_what_recovers_as_maintenance_ends_wakes_nobody() -> None:
    chain = make_chain(NIGHTLY)
    chain.fail("shop")
    chain.seconds = 590
    chain.look(shop=200)
    chain.look(shop=200)
    chain.tick(300)

    assert chain.told == []


def test_maintenance_of_another_service_withholds_nothing() -> None:
    chain = make_chain(NIGHTLY)
    chain.fail("database")

    assert chain.heard == [("database", "opened")]


def test_a_silence_withholds_until_it_is_over_or_removed() -> None:
    silence = make_silence()
    chain = make_chain(silence=silence)
    chain.fail("shop")
    hold = chain.hold("shop")
    chain.engine.situation.apply(Changes(silences=(replace(silence, ends_at=at(chain.seconds)),)))
    chain.look(shop=500)
    chain.look(shop=500)

    assert hold is not None
    assert (hold.why, hold.by, hold.until) == (Withheld.SILENCE, "s1", at(600))
    assert chain.heard == [("shop", "opened")]
    assert chain.hold("shop") is None


def test_a_silence_of_what_it_depends_on_does_not_keep_a_service_quiet() -> None:
    chain = make_chain(silence=make_silence(services=("database",)))
    chain.fail("database")
    chain.fail("shop")

    assert chain.heard == [("shop", "opened")]


def test_a_silence_of_a_severity_leaves_what_is_worse() -> None:
    chain = make_chain(silence=make_silence(severities=(Severity.LOW,)))
    chain.fail("shop")

    assert chain.heard == [("shop", "opened")]


def test_the_severity_that_rose_meanwhile_is_told_and_its_clock_begins_anew() -> None:
    shop = NAMES[0]
    chain = Chain(
        make_story(
            make_endpoint(name=shop, service=shop),
            make_endpoint(
                make_check(endpoint="page", service=shop, severity=Severity.CRITICAL),
                name="page",
                service=shop,
            ),
            directory=replace(
                make_directory(),
                maintenance=(replace(NIGHTLY, starts_at=at(100), ends_at=at(400)),),
            ),
        )
    )
    chain.fail("shop")
    chain.seconds = 120
    chain.fail("page")
    meanwhile = len(chain.told)
    chain.seconds = 410
    chain.look(page=500)
    chain.look(page=500)

    assert meanwhile == 1
    assert chain.heard == [("shop", "opened"), ("shop", "updated")]
    assert chain.told[-1].notice.severity is Severity.CRITICAL
    told_at = chain.of("shop").attention.told_at
    assert told_at is not None
    assert told_at > at(410)


def test_blindness_is_withheld_only_where_all_of_it_is_in_maintenance() -> None:
    everything = replace(NIGHTLY, services=frozenset())
    of_shop = make_chain(NIGHTLY)
    of_all = make_chain(everything)
    for chain in (of_shop, of_all):
        for _ in range(6):
            chain.look(shop="?", api="?")

    assert [event for _, event in of_shop.heard] == ["blind"]
    assert of_all.heard == []


def test_a_restart_goes_on_withholding_and_tells_what_still_fails_after_it() -> None:
    chain = make_chain(NIGHTLY)
    chain.fail("shop")
    again = make_chain(NIGHTLY)
    again.engine.situation.apply(chain.engine.situation.everything())
    again.seconds = 630
    first = again.engine.adopt(
        again.engine.endpoints.values(), again.engine.directory, at(630)
    ).deliveries
    again.look(shop=500)

    assert first == ()
    assert again.heard == [("shop", "opened")]


def test_a_clock_that_is_set_moves_what_was_withheld_but_no_maintenance() -> None:
    chain = make_chain(NIGHTLY)
    chain.fail("shop")
    hold = chain.hold("shop")
    assert hold is not None
    chain.engine.set_clock(timedelta(hours=1), at(chain.seconds + 3_600))
    chain.seconds += 3_600
    chain.look(shop=500)
    moved = chain.of("shop").attention.hold
    chain.look(shop=500)

    assert moved is not None
    assert moved.since == hold.since + timedelta(hours=1)
    assert moved.ended_at is not None
    assert chain.heard == [("shop", "opened")]


def test_others_may_ask_what_is_down_and_what_is_in_maintenance() -> None:
    chain = make_chain(NIGHTLY)
    chain.fail("database")
    directory, situation = chain.engine.directory, chain.engine.situation

    assert down_dependency("shop", directory, situation) == chain.of("database")
    assert down_dependency("database", directory, situation) is None
    assert in_maintenance("shop", directory, at(10)) == NIGHTLY
    assert in_maintenance("shop", directory, at(600)) is None
    assert in_maintenance("api", directory, at(10)) is None


def test_what_a_person_declared_while_all_checks_pass_withholds_nothing() -> None:
    chain = make_chain()
    engine = chain.engine
    declared = acts.open_incident(
        "database", "backups are slow", Severity.LOW, "ana", engine.situation, at(0)
    )
    engine.act(declared, at(0))
    chain.fail("shop")

    assert chain.hold("shop") is None
    assert ("shop", "opened") in chain.heard


def test_a_circle_of_dependencies_does_not_hang() -> None:
    services = {
        "a": Service(name="a", depends_on=("b",)),
        "b": Service(name="b", depends_on=("a", "nowhere")),
    }

    directory = Directory(services=services)

    assert directory.beneath == {"a": ("b", "nowhere"), "b": ("a", "nowhere")}


def test_who_does_not_depend_on_it_any_more_is_told_of_so() -> None:
    chain = make_chain()
    chain.fail("shop")
    chain.fail("database")
    engine = chain.engine
    alone = make_directory(*(Service(name=name) for name in NAMES))
    engine.adopt(engine.endpoints.values(), alone, at(chain.seconds))
    chain.look(shop=500)

    assert chain.heard[-1] == ("shop", "updated")
    assert "it does not depend on database any more, and it still fails" in (
        chain.told[-1].notice.headline
    )


def test_what_became_worse_than_is_silenced_is_told() -> None:
    chain = make_chain(silence=make_silence(severities=(Severity.HIGH,)))
    chain.fail("shop")
    worse = make_endpoint(
        make_check(endpoint="shop", service="shop", severity=Severity.CRITICAL),
        name="shop",
        service="shop",
    )
    engine = chain.engine
    others = [one for name, one in engine.endpoints.items() if name != "shop"]
    engine.adopt([worse, *others], engine.directory, at(chain.seconds))
    chain.look(shop=500)

    assert chain.heard == [("shop", "opened")]
    assert "the silence is not about it any more" in (
        engine.situation.timelines[chain.of("shop").id][-1].text
    )
