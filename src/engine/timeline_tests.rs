//! The presence rules, one short timeline each.
//!
//! A timeline is steps joined by `|`. Events: `40s a@lobby` is a fix of client a, `40s enter a hall` and `exit` are
//! reported, `40s other` moves nobody, `40s untimed` says no time of its own; `40s>70s` happened at 40 s and came at
//! 70 s by the wall clock. `tick 60s` tells the wall time, `clock` shows the sites'. `set grace=5s` changes a site's
//! rules, `set desk grace=5s` an area's, `unset desk` gives it the site's again; `ground = desk` leaves only that zone
//! on a map, `ground gone` forgets the map. A trailing `/2` means the second site. What is told with a `~` the clock
//! did, and the client may yet take it back.
//!
//! Map `ground` has lobby, desk nested in it and cafe overlapping it; map `attic` has loft. Each is a spot too; `door`
//! is in lobby and cafe, `street` in none. Areas hall and gate are only reported.

use super::*;
use crate::model::floorplan::Outline;
use crate::model::visit::{Ended, Exit, Source};

const AREAS: [&str; 6] = ["lobby", "desk", "cafe", "loft", "hall", "gate"];
const MAPS: [&str; 2] = ["ground", "attic"];
const DAY: DedupeWindow = DedupeWindow(86_400_000);

fn zone(name: &str, version: u32) -> Zone {
    let (from, to) = match name {
        "lobby" | "loft" => (0.0, 10.0),
        "desk" => (1.0, 3.0),
        "cafe" => (8.0, 16.0),
        other => panic!("no zone {other}"),
    };
    let ring = vec![[from, from], [to, from], [to, to], [from, to], [from, from]];
    Zone { area: area(name), version, outline: Outline::from_rings(vec![ring]).unwrap() }
}

fn area(name: &str) -> AreaKey {
    AreaKey(AREAS.iter().position(|known| *known == name).unwrap_or_else(|| panic!("no area {name}")) as u32)
}

fn map(name: &str) -> MapKey {
    MapKey(MAPS.iter().position(|known| *known == name).unwrap_or_else(|| panic!("no map {name}")) as u32)
}

fn spot(name: &str) -> (MapKey, Position) {
    let (on, at) = match name {
        "lobby" => ("ground", 5.0),
        "desk" => ("ground", 2.0),
        "door" => ("ground", 9.0),
        "cafe" => ("ground", 12.0),
        "street" => ("ground", 50.0),
        "loft" => ("attic", 5.0),
        other => panic!("no spot {other}"),
    };
    (map(on), Position::from_metres(at, at).unwrap())
}

fn ms(text: &str) -> i64 {
    let (number, unit) = text.split_at(text.len() - 1);
    let unit_ms = match unit {
        "s" => 1_000.0,
        "h" => 3_600_000.0,
        "d" => 86_400_000.0,
        other => panic!("no unit {other}"),
    };
    (number.parse::<f64>().unwrap() * unit_ms).round() as i64
}

/// `name` or `name/2`.
fn sited(text: &str) -> (&str, SiteKey) {
    text.strip_suffix("/2").map_or((text, SiteKey(1)), |name| (name, SiteKey(2)))
}

fn client(name: &str) -> ClientKey {
    ClientKey(u32::from(name.as_bytes()[0]))
}

struct Player {
    engine: Engine,
    rules: PresenceRules,
    changes: Vec<VisitChange>,
    told: Vec<String>,
}

impl Player {
    fn new() -> Player {
        let mut engine = Engine::new(DAY, VisitKey(1));
        for site in [SiteKey(1), SiteKey(2)] {
            let plan = |zones: &[&str]| {
                let zones = zones.iter().map(|name| zone(name, 1)).collect();
                Some(Plan { size_m: Some((20.0, 20.0)), zones })
            };
            engine.set_map(site, map("ground"), plan(&["lobby", "desk", "cafe"]));
            engine.set_map(site, map("attic"), plan(&["loft"]));
        }
        Player { engine, rules: PresenceRules::DEFAULT, changes: Vec::new(), told: Vec::new() }
    }

    fn step(&mut self, step: &str) {
        match step.split_whitespace().collect::<Vec<_>>()[..] {
            ["tick", wall] => self.engine.tick(ReceivedAt(ms(wall)), &mut self.changes),
            ["clock"] => {
                let reached = self.engine.clocks().map(|(_, at)| secs(at)).collect::<Vec<_>>();
                self.told.push(format!("clock {}", reached.join(" ")));
            }
            ["set", ref settings @ ..] if settings[0].contains('=') => {
                self.rules = with(self.rules, settings);
                self.engine.set_site(SiteKey(1), self.rules);
            }
            ["set", name, ref settings @ ..] => {
                self.engine.set_area_rules(SiteKey(1), area(name), Some(with(self.rules, settings)));
            }
            ["unset", name] => self.engine.set_area_rules(SiteKey(1), area(name), None),
            [name, "=", ref zones @ ..] => {
                let zones = zones.iter().map(|name| zone(name, 2)).collect();
                self.engine.set_map(SiteKey(1), map(name), Some(Plan { size_m: None, zones }));
            }
            [name, "gone"] => self.engine.set_map(SiteKey(1), map(name), None),
            [time, ref event @ ..] => {
                let (at, received) = time.split_once('>').unwrap_or((time, time));
                let verdict = self.event(EventTime(ms(at)), ReceivedAt(ms(received)), event);
                if verdict != Verdict::Applied {
                    self.told.push(format!("{verdict:?}").to_lowercase());
                }
            }
            [] => panic!("an empty step"),
        }
        let changes = self.changes.drain(..).map(|change| tell(&change));
        self.told.extend(changes);
    }

    fn event(&mut self, at: EventTime, received_at: ReceivedAt, event: &[&str]) -> Verdict {
        match *event {
            [what @ ("other" | "untimed")] => {
                let print = Fingerprint(at.0 as u64);
                self.engine.apply_other(SiteKey(1), print, at, what == "untimed", received_at, &mut self.changes)
            }
            [trigger @ ("enter" | "exit"), name, of] => {
                let (of, site) = sited(of);
                let input = TransitionInput {
                    site,
                    map: None,
                    area: area(of),
                    area_version: 0,
                    client: client(name),
                    trigger: if trigger == "enter" { Trigger::Enter } else { Trigger::Exit },
                    at,
                    received_at,
                };
                self.engine.apply_transition(&input, &mut self.changes)
            }
            [fix] => {
                let (name, place) = fix.split_once('@').unwrap_or_else(|| panic!("no event {fix}"));
                let (place, site) = sited(place);
                let (map, position) = spot(place);
                let input = FixInput { site, map, client: client(name), at, received_at, position };
                self.engine.apply_fix(&input, &mut self.changes)
            }
            _ => panic!("no event {event:?}"),
        }
    }
}

fn with(rules: PresenceRules, settings: &[&str]) -> PresenceRules {
    settings.iter().fold(rules, |rules, setting| match setting.split_once('=') {
        Some(("grace", time)) => PresenceRules { exit_grace_ms: ms(time), ..rules },
        Some(("timeout", time)) => PresenceRules { presence_timeout_ms: ms(time), ..rules },
        Some(("reported", time)) => PresenceRules { reported_timeout_ms: ms(time), ..rules },
        _ => panic!("no setting {setting}"),
    })
}

fn secs(at: EventTime) -> String {
    format!("{}s", at.0 as f64 / 1000.0)
}

fn tell(change: &VisitChange) -> String {
    let who = |visit: &Visit| {
        let site = if visit.site == SiteKey(2) { "/2" } else { "" };
        let is_both = visit.source == Source::Reported && visit.area <= area("loft");
        let source = if is_both { " (reported)" } else { "" };
        format!("{} {}{site}{source}", char::from(visit.client.0 as u8), AREAS[visit.area.0 as usize])
    };
    match change {
        VisitChange::Opened(visit) => format!("{} from {}", who(visit), secs(visit.entered_at)),
        VisitChange::Reopened(visit, _) => format!("{} goes on", who(visit)),
        VisitChange::Closed(visit, Exit { exited_at, ended, clock_after }) => {
            let how = if *ended == Ended::Left { "left" } else { "timeout" };
            let by = if clock_after.is_some() { "~" } else { "" };
            format!("{} {how} {}{by}", who(visit), secs(*exited_at))
        }
    }
}

fn play(timeline: &str) -> String {
    let mut player = Player::new();
    timeline.split('|').for_each(|step| player.step(step));
    player.told.join(", ")
}

/// Facts: each a name, a colon, and pairs of a timeline and what it tells.
macro_rules! facts {
    ($($name:ident: $($timeline:literal => $told:literal)+)+) => {$(
        #[test]
        fn $name() {
            $(assert_eq!(play($timeline), $told, "{}", $timeline);)+
        }
    )+};
}

// Gaps, inside and outside: rules 1 to 4 by fixes alone.
facts! {
    a_visit_begins_at_the_first_fix_inside:
        "0s a@street | 7s a@lobby | 60s a@lobby" => "a lobby from 7s"
    silence_of_exactly_the_timeout_is_outlived:
        "0s a@lobby | 300s a@lobby | 600s a@lobby" => "a lobby from 0s"
    a_millisecond_more_than_the_timeout_is_a_gap:
        "0s a@lobby | 300.001s a@lobby" => "a lobby from 0s, a lobby timeout 0s, a lobby from 300.001s"
    a_gap_ends_the_visit_before_the_next_fix_is_looked_at:
        "0s a@lobby | 60s a@lobby | 400s a@street" => "a lobby from 0s, a lobby timeout 60s"
        "0s a@lobby | 60s a@lobby | 400s a@loft" => "a lobby from 0s, a lobby timeout 60s, a loft from 400s"
    silence_after_going_out_ends_when_it_went_out:
        "0s a@lobby | 5s a@street | 400s a@street" => "a lobby from 0s, a lobby left 5s"
        "0s a@lobby | 5s a@street | 9s a@street | 400s a@lobby" => "a lobby from 0s, a lobby left 5s, a lobby from 400s"
    fixes_elsewhere_keep_a_client_from_being_silent:
        "set grace=500s | 0s a@lobby | 200s a@street | 400s a@lobby" => "a lobby from 0s"
    a_client_has_left_once_it_was_out_for_exactly_the_grace:
        "0s a@lobby | 5s a@street | 15s a@street" => "a lobby from 0s, a lobby left 5s"
        "0s a@lobby | 5s a@street | 14.999s a@street" => "a lobby from 0s"
    a_client_back_within_the_grace_never_left:
        "0s a@lobby | 5s a@street | 14.999s a@lobby" => "a lobby from 0s"
    a_client_back_after_exactly_the_grace_left_and_came_again:
        "0s a@lobby | 5s a@street | 15s a@lobby" => "a lobby from 0s, a lobby left 5s, a lobby from 15s"
    going_out_again_starts_the_grace_again:
        "0s a@lobby | 5s a@street | 9s a@lobby | 12s a@street | 20s a@street | 22s a@street" =>
            "a lobby from 0s, a lobby left 12s"
    without_a_grace_the_first_fix_outside_ends_the_visit:
        "set grace=0s | 0s a@lobby | 5s a@street | 5.001s a@lobby" =>
            "a lobby from 0s, a lobby left 5s, a lobby from 5.001s"
    another_map_is_outside:
        "0s a@lobby | 5s a@loft | 15s a@loft" => "a lobby from 0s, a loft from 5s, a lobby left 5s"
    a_step_to_another_map_within_the_grace_is_a_visit_there_too:
        "0s a@lobby | 5s a@loft | 9s a@lobby | 19s a@lobby" => "a lobby from 0s, a loft from 5s, a loft left 9s"
    nested_zones_are_separate_visits:
        "0s a@desk | 5s a@lobby | 15s a@lobby" => "a lobby from 0s, a desk from 0s, a desk left 5s"
    overlapping_zones_hand_over_with_both_open:
        "0s a@lobby | 9s a@door | 20s a@cafe | 30s a@cafe" => "a lobby from 0s, a cafe from 9s, a lobby left 20s"
    clients_do_not_share_visits:
        "0s a@lobby | 0s b@lobby | 5s a@street | 6s b@lobby | 15s a@street" =>
            "a lobby from 0s, b lobby from 0s, a lobby left 5s"
}

// The clock closes as fixes do, backdated: rule 5.
facts! {
    a_silent_client_exits_at_its_last_fix:
        "0s a@lobby | 40s a@lobby | tick 340s" => "a lobby from 0s"
        "0s a@lobby | 40s a@lobby | tick 340.001s" => "a lobby from 0s, a lobby timeout 40s~"
    a_tick_closes_at_exactly_the_grace_and_not_before:
        "0s a@lobby | 5s a@street | tick 14.999s" => "a lobby from 0s"
        "0s a@lobby | 5s a@street | tick 15s" => "a lobby from 0s, a lobby left 5s~"
        "0s a@lobby | 5s a@street | tick 3d" => "a lobby from 0s, a lobby left 5s~"
        "0s a@lobby | 40s a@lobby | tick 3d" => "a lobby from 0s, a lobby timeout 40s~"
    events_of_other_clients_close_as_a_tick_does:
        "0s a@lobby | 300.001s b@street" => "a lobby from 0s, a lobby timeout 0s~"
        "0s a@lobby | 5s a@street | 15s b@street" => "a lobby from 0s, a lobby left 5s~"
        "0s a@lobby | 301s exit b hall" => "a lobby from 0s, unmatched, a lobby timeout 0s~"
        "0s a@lobby | 301s enter a hall" => "a lobby from 0s, a hall from 301s, a lobby timeout 0s~"
    one_tick_closes_in_order_of_deadline_then_client_then_area:
        "1s b@desk | 2s a@cafe | 2.5s a@street | 3s c@loft | tick 1000s" =>
            "b lobby from 1s, b desk from 1s, a cafe from 2s, c loft from 3s, a cafe left 2.5s~, b lobby timeout 1s~, \
             b desk timeout 1s~, c loft timeout 3s~"
    one_lone_fix_is_a_visit_of_no_length:
        "7s a@lobby | tick 400s" => "a lobby from 7s, a lobby timeout 7s~"
        "7s a@lobby | 400s a@street" => "a lobby from 7s, a lobby timeout 7s"
    a_tick_closes_once:
        "0s a@lobby | tick 400s | tick 401s | tick 400s" => "a lobby from 0s, a lobby timeout 0s~"
}

// The clock ran ahead of a fix that was still under way: what it closed, the fix revokes or confirms.
facts! {
    a_timeout_is_revoked_by_a_fix_inside_within_the_timeout:
        "0s a@lobby | 601s b@street | 300s a@lobby | 301s a@lobby" =>
            "a lobby from 0s, a lobby timeout 0s~, a lobby goes on, a lobby timeout 300s~, a lobby goes on"
        "0s a@lobby | 301s b@street | 300s a@lobby" => "a lobby from 0s, a lobby timeout 0s~, a lobby goes on"
    a_timeout_is_confirmed_by_a_fix_after_the_timeout:
        "0s a@lobby | tick 400s | 300.001s a@lobby" => "a lobby from 0s, a lobby timeout 0s~, a lobby from 300.001s"
        "0s a@lobby | tick 400s | 300.001s a@street" => "a lobby from 0s, a lobby timeout 0s~"
    a_timeout_becomes_left_when_the_client_was_still_to_be_seen_going:
        "0s a@lobby | tick 400s | 200s a@street" =>
            "a lobby from 0s, a lobby timeout 0s~, a lobby goes on, a lobby left 200s~"
        "set grace=0s | 0s a@lobby | tick 400s | 200s a@street" =>
            "a lobby from 0s, a lobby timeout 0s~, a lobby goes on, a lobby left 200s"
        "0s a@lobby | 301s b@street | 295s a@street | 305s a@street" =>
            "a lobby from 0s, a lobby timeout 0s~, a lobby goes on, a lobby left 295s"
    a_leaving_is_revoked_by_a_fix_inside_within_the_grace:
        "0s a@lobby | 5s a@street | tick 60s | 14.999s a@lobby" => "a lobby from 0s, a lobby left 5s~, a lobby goes on"
    a_leaving_is_confirmed_by_a_fix_inside_after_the_grace:
        "0s a@lobby | 5s a@street | tick 60s | 15s a@lobby" => "a lobby from 0s, a lobby left 5s~, a lobby from 15s"
    a_leaving_is_confirmed_by_a_fix_outside_after_the_grace:
        "0s a@lobby | 5s a@street | tick 60s | 15s a@street" => "a lobby from 0s, a lobby left 5s~"
    a_leaving_that_a_fix_outside_leaves_open_is_closed_again:
        "0s a@lobby | 5s a@street | tick 60s | 9s a@street | 12s a@lobby" =>
            "a lobby from 0s, a lobby left 5s~, a lobby goes on, a lobby left 5s~, a lobby goes on"
    a_fix_from_elsewhere_leaves_what_ended_before_it_ended:
        "0s a@lobby | 5s a@loft | tick 900s | 200s a@loft" =>
            "a lobby from 0s, a loft from 5s, a lobby left 5s~, a loft timeout 5s~, a loft goes on, \
             a loft timeout 200s~"
    a_client_wholly_behind_the_clock_is_followed_all_the_same:
        "900s b@street | 0s a@lobby | 60s a@street | 70s a@lobby" =>
            "a lobby from 0s, a lobby timeout 0s~, a lobby goes on, a lobby left 60s~, a lobby from 70s, \
             a lobby timeout 70s~"
}

// Late and repeated fixes: rule 6.
facts! {
    a_late_fix_moves_nothing:
        "0s a@lobby | 9s a@lobby | 5s a@street | 20s a@lobby" => "a lobby from 0s, late"
        "0s a@lobby | 9s a@street | 5s a@lobby | 19s a@street" => "a lobby from 0s, late, a lobby left 9s"
        "0s a@lobby | tick 400s | 200s b@lobby | 199s b@street | clock" =>
            "a lobby from 0s, a lobby timeout 0s~, b lobby from 200s, late, clock 400s"
    a_late_fix_does_not_revoke_what_the_clock_closed:
        "0s a@lobby | 9s a@lobby | tick 400s | 5s a@lobby" => "a lobby from 0s, a lobby timeout 9s~, late"
    the_same_instant_is_a_duplicate_wherever_it_was:
        "0s a@lobby | 0s a@lobby | 0s a@street | 0s a@loft" => "a lobby from 0s, duplicate, duplicate, duplicate"
        "0s a@lobby | 9s a@lobby | 5s a@lobby | 5s a@street" => "a lobby from 0s, late, duplicate"
    a_clients_newest_fix_is_known_beyond_the_dedupe_window:
        "0s a@street | 3d b@street | 0s a@lobby" => "duplicate"
    what_the_dedupe_window_left_behind_is_late_each_time:
        "0s a@street | 24h a@street | 0s a@street" => "duplicate"
        "0s a@street | 25h a@street | 0s a@street | 0s a@street" => "late, late"
}

// Settings and floorplans that change, and sites apart.
facts! {
    sites_keep_their_clients_and_clocks_apart:
        "0s a@lobby | 0s a@lobby/2 | 1s a@street/2 | 400s b@street | 11s a@street/2 | clock" =>
            "a lobby from 0s, a lobby/2 from 0s, a lobby timeout 0s~, a lobby/2 left 1s, clock 400s 11s"
        "0s enter a hall | 1s exit a hall/2" => "a hall from 0s, unmatched"
    an_area_may_have_its_own_rules:
        "set desk grace=2s | 0s a@desk | 5s a@street | 7s a@street" => "a lobby from 0s, a desk from 0s, a desk left 5s"
        "set desk timeout=60s | 0s a@desk | 61s a@desk" =>
            "a lobby from 0s, a desk from 0s, a desk timeout 0s, a desk from 61s"
        "set desk timeout=60s | 0s a@desk | tick 61s" => "a lobby from 0s, a desk from 0s, a desk timeout 0s~"
        "set hall reported=60s | 0s enter a hall | 0s enter a gate | tick 61s" =>
            "a hall from 0s, a gate from 0s, a hall timeout 0s~"
    an_area_without_its_own_rules_again_has_the_sites:
        "set desk grace=2s | unset desk | 0s a@desk | 5s a@street | 7s a@street" => "a lobby from 0s, a desk from 0s"
    shorter_rules_close_what_is_due_by_them_at_the_next_event:
        "0s a@lobby | set timeout=60s | tick 60s" => "a lobby from 0s"
        "0s a@lobby | set timeout=60s | tick 61s" => "a lobby from 0s, a lobby timeout 0s~"
        "0s a@lobby | 1s a@street | set grace=5s | tick 6s" => "a lobby from 0s, a lobby left 1s~"
        "0s a@desk | set desk timeout=60s | 61s b@street" => "a lobby from 0s, a desk from 0s, a desk timeout 0s~"
        "0s enter a hall | set reported=1h | 2h other" => "a hall from 0s, a hall timeout 0s~"
        "set hall reported=24h | 0s enter a hall | unset hall | tick 13h" => "a hall from 0s, a hall timeout 0s~"
    longer_rules_keep_open_what_is_not_due_by_them:
        "0s a@lobby | set timeout=600s | tick 600s | tick 601s" => "a lobby from 0s, a lobby timeout 0s~"
        "0s a@lobby | 1s a@street | set grace=60s | tick 60s | 60.999s a@lobby" => "a lobby from 0s"
    whoever_was_in_a_zone_that_is_gone_has_left_it_with_the_next_fix:
        "0s a@desk | ground = lobby | 5s a@desk | 15s a@desk" => "a lobby from 0s, a desk from 0s, a desk left 5s"
        "0s a@lobby | ground gone | 5s a@lobby | 15s a@lobby" => "a lobby from 0s, a lobby left 5s"
        "0s a@lobby | ground = | tick 301s" => "a lobby from 0s, a lobby timeout 0s~"
    a_zone_that_is_gone_for_less_than_the_grace_was_not_gone:
        "0s a@lobby | ground = | 5s a@lobby | ground = lobby | 9s a@lobby" => "a lobby from 0s"
    a_zone_drawn_around_a_client_is_entered_with_its_next_fix:
        "ground = | 0s a@desk | ground = desk lobby | 5s a@desk" => "a lobby from 5s, a desk from 5s"
}

// What the network reports.
facts! {
    an_enter_opens_and_an_exit_closes:
        "3s enter a hall | 20s exit a hall" => "a hall from 3s, a hall left 20s"
    a_second_enter_goes_on_with_the_open_visit:
        "0s enter a hall | 9s enter a hall | 20s exit a hall" => "a hall from 0s, a hall left 20s"
    an_exit_without_an_enter_is_counted:
        "0s exit a hall | 9s enter b hall | 20s exit a hall" => "unmatched, b hall from 9s, unmatched"
    areas_are_reported_apart:
        "0s enter a hall | 1s enter a gate | 2s exit a hall" => "a hall from 0s, a gate from 1s, a hall left 2s"
    a_zone_may_have_a_reported_visit_beside_its_computed_one:
        "0s a@lobby | 0s enter a lobby | 5s exit a lobby" =>
            "a lobby from 0s, a lobby (reported) from 0s, a lobby (reported) left 5s"
    a_transition_older_than_its_areas_newest_is_late:
        "9s enter a hall | 5s exit a hall | 20s exit a hall | 15s enter a hall" =>
            "a hall from 9s, late, a hall left 20s, late"
        "9s enter a gate | 5s enter a hall" => "a gate from 9s, a hall from 5s"
    the_same_transition_twice_is_a_duplicate:
        "0s enter a hall | 0s enter a hall | 5s exit a hall | 0s enter a hall | 5s exit a hall" =>
            "a hall from 0s, duplicate, a hall left 5s, duplicate, duplicate"
    enter_and_exit_in_one_instant_go_by_the_order_they_came:
        "9s enter a hall | 9s exit a hall" => "a hall from 9s, a hall left 9s"
        "0s enter a hall | 9s exit a hall | 9s enter a hall" => "a hall from 0s, a hall left 9s, a hall from 9s"
    a_reported_visit_times_out_at_the_last_sign_of_its_client:
        "0s enter a hall | tick 12h" => "a hall from 0s"
        "0s enter a hall | tick 43200.001s" => "a hall from 0s, a hall timeout 0s~"
        "0s enter a hall | 11h a@street | tick 24h" => "a hall from 0s, a hall timeout 39600s~"
        "0s enter a hall | 11h exit a gate | tick 24h" => "a hall from 0s, unmatched, a hall timeout 39600s~"
    a_reported_visit_outlives_silence_of_exactly_its_timeout:
        "0s enter a hall | 12h a@street | 24h exit a hall" => "a hall from 0s, a hall left 86400s"
    any_sign_after_too_long_a_silence_ends_a_reported_visit:
        "0s enter a hall | 13h a@street" => "a hall from 0s, a hall timeout 0s"
        "0s enter a hall | 13h enter a gate" => "a hall from 0s, a hall timeout 0s, a gate from 46800s"
        "0s enter a hall | 13h exit a hall" => "a hall from 0s, unmatched, a hall timeout 0s"
        "0s enter a hall | 13h enter a hall" => "a hall from 0s, a hall timeout 0s, a hall from 46800s"
    a_sign_under_way_takes_back_what_the_clock_closed:
        "0s enter a hall | 13h other | 11h exit a hall" =>
            "a hall from 0s, a hall timeout 0s~, a hall goes on, a hall left 39600s"
        "0s enter a hall | tick 13h | 11h a@street" => "a hall from 0s, a hall timeout 0s~, a hall goes on"
        "0s enter a hall | tick 24h | 11h enter a hall" =>
            "a hall from 0s, a hall timeout 0s~, a hall goes on, a hall timeout 39600s~"
}

// The site clock.
facts! {
    the_clock_is_the_newest_event_time_and_never_runs_back:
        "clock | 40s a@street | clock | 30s b@street | clock | 50s other | clock" =>
            "clock , clock 40s, clock 40s, clock 50s"
    the_clock_runs_on_at_wall_speed_since_the_newest_event_was_received:
        "40s>100s a@street | tick 130s | clock | 60s>150s a@street | clock | tick 170s | clock" =>
            "clock 70s, clock 70s, clock 80s"
    a_wall_clock_set_back_does_not_turn_the_site_back:
        "0s>100s a@street | tick 150s | tick 90s | clock | tick 160s | clock" => "clock 50s, clock 60s"
    a_wall_clock_set_back_is_followed_from_the_next_event_on:
        "0s>100s a@street | 10s>50s a@street | tick 55s | clock" => "clock 15s"
    an_event_from_the_future_takes_the_clock_along:
        "0s a@lobby | 301s>5s other | tick 6s | clock" => "a lobby from 0s, a lobby timeout 0s~, clock 302s"
    an_event_without_a_time_does_not_move_the_clock:
        "0s a@lobby | 400s untimed | clock" => "a lobby from 0s, clock 0s"
        "400s untimed | tick 500s | clock" => "clock "
    a_duplicate_does_not_move_the_clock:
        "40s>40s other | tick 45s | 40s>50s other | clock" => "duplicate, clock 45s"
    before_its_first_event_a_site_has_no_time:
        "tick 1000s | clock | 5s a@street | clock" => "clock , clock 5s"
}

#[test]
fn a_visit_keeps_the_map_and_the_version_it_was_opened_with() {
    let mut player = Player::new();
    player.step("0s a@lobby");
    player.step("ground = lobby");
    player.step("5s a@lobby");
    let mut changes = Vec::new();
    player.engine.tick(ReceivedAt(400_000), &mut changes);
    let VisitChange::Closed(visit, _) = changes[0] else { panic!("{changes:?}") };
    assert_eq!((visit.map, visit.area_version, visit.key), (Some(map("ground")), 1, VisitKey(1)));
}

#[test]
fn a_fix_off_the_image_is_flagged_and_one_on_its_edge_is_not() {
    let player = Player::new();
    let is_off =
        |x_m, y_m| player.engine.is_off_map(SiteKey(1), map("ground"), Position::from_metres(x_m, y_m).unwrap());
    assert!(!is_off(0.0, 20.0) && !is_off(20.0, 0.0));
    assert!(is_off(-0.001, 5.0) && is_off(5.0, -0.001) && is_off(20.001, 5.0) && is_off(5.0, 20.001));
    assert!(!player.engine.is_off_map(SiteKey(1), MapKey(9), Position { x_mm: -1, y_mm: -1 }));
}
