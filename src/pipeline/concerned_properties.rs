//! What is known of places and rules after changes, each taken in by what it concerns, is what a start would read.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use tempfile::TempDir;

use super::change::{AreaSettings, Change, Extent, apply};
use super::places::Defaults;
use super::reload;
use crate::engine::DedupeWindow;
use crate::model::alert::Condition;
use crate::model::floorplan::{AreaPlan, MapPlan, Outline, Shape};
use crate::model::ids::{AreaId, AreaKey, AreaKind, Id, MapId, MapKey, RuleKey, SiteId, SiteKey};
use crate::model::settings::{PresenceRules, Pseudonyms};
use crate::model::time::ReceivedAt;
use crate::store::alerts::{RuleRecord, RuleTarget};
use crate::store::places::SiteRecord;
use crate::store::restore::RuleSettings;
use crate::store::writer::Writer;
use crate::store::{Store, StoreOptions};

/// Few of each, so that they meet.
const SITES: u32 = 3;
const MAPS: u32 = 4;
const AREAS: u32 = 5;

/// A change by numbers.
#[derive(Clone, Debug)]
enum Step {
    Site { site: u32, grace_s: Option<f64>, is_veiled: bool },
    EndSite(u32),
    Map { map: u32, site: Option<u32>, areas: Vec<u32>, is_complete: bool },
    EndMap(u32),
    Area { area: u32, site: Option<u32>, map: Option<u32>, at_m: f64, grace_s: Option<f64>, is_tagged: bool },
    EndArea(u32),
    Rule { rule: Option<u32>, site: Option<u32>, map: Option<u32>, area: Option<u32>, is_stay: bool },
    EndRule(u32),
}

fn step() -> impl Strategy<Value = Step> {
    let grace_s = || option::of(prop_oneof![Just(5.0), Just(60.0)]);
    prop_oneof![
        2 => (0..SITES, grace_s(), any::<bool>())
            .prop_map(|(site, grace_s, is_veiled)| Step::Site { site, grace_s, is_veiled }),
        1 => (0..SITES).prop_map(Step::EndSite),
        6 => (0..MAPS, option::of(0..SITES), vec(0..AREAS, 0..4), any::<bool>())
            .prop_map(|(map, site, areas, is_complete)| Step::Map { map, site, areas, is_complete }),
        1 => (0..MAPS).prop_map(Step::EndMap),
        6 => (0..AREAS, option::of(0..SITES), option::of(0..MAPS), 0..3, grace_s(), any::<bool>()).prop_map(
            |(area, site, map, at_m, grace_s, is_tagged)| {
                Step::Area { area, site, map, at_m: f64::from(at_m), grace_s, is_tagged }
            }
        ),
        1 => (0..AREAS).prop_map(Step::EndArea),
        4 => (option::of(1..4_u32), option::of(0..SITES), option::of(0..MAPS), option::of(0..AREAS), any::<bool>())
            .prop_map(|(rule, site, map, area, is_stay)| Step::Rule { rule, site, map, area, is_stay }),
        1 => (1..4_u32).prop_map(Step::EndRule),
    ]
}

fn site_id(site: u32) -> SiteId {
    SiteId::from(format!("site-{site}").as_str())
}

fn map_id(map: u32) -> MapId {
    MapId::from(format!("map-{map}").as_str())
}

fn area_id(area: u32) -> AreaId {
    AreaId { kind: AreaKind::Zone, id: Id::object(&format!("area-{area}")) }
}

fn area_plan(area: u32, at_m: f64, is_tagged: bool) -> AreaPlan {
    let to_m = at_m + 2.0;
    let ring = vec![[at_m, at_m], [to_m, at_m], [to_m, to_m], [at_m, to_m], [at_m, at_m]];
    AreaPlan {
        id: area_id(area),
        name: None,
        shape: Shape::Zone(Outline::from_rings(vec![ring]).unwrap()),
        tags: if is_tagged { vec!["quiet".into()] } else { Vec::new() },
        occupancy_limit: None,
        properties_json: None,
        drawn: None,
    }
}

fn graced(exit_grace_s: Option<f64>) -> RuleSettings {
    RuleSettings { exit_grace_s, ..RuleSettings::default() }
}

fn change(step: Step) -> Change {
    match step {
        Step::Site { site, grace_s, is_veiled } => Change::Site(SiteRecord {
            id: site_id(site),
            name: None,
            time_zone: if is_veiled { "Europe/Berlin".into() } else { "UTC".into() },
            rules: graced(grace_s),
            dwell_bands_json: None,
            pseudonyms: if is_veiled { Pseudonyms::Keyed } else { Pseudonyms::Off },
        }),
        Step::EndSite(site) => Change::EndSite(site_id(site)),
        Step::Map { map, site, areas, is_complete } => {
            let mut plan = MapPlan::unsaid(map_id(map), site.map(site_id));
            let mut areas = areas;
            areas.sort_unstable();
            areas.dedup();
            plan.width_m = Some(10.0);
            plan.height_m = Some(10.0);
            plan.areas = areas.into_iter().map(|area| area_plan(area, f64::from(map), false)).collect();
            let complete = if is_complete { vec![AreaKind::Zone] } else { Vec::new() };
            Change::Map { plan, extent: Extent { complete, ..Extent::default() } }
        }
        Step::EndMap(map) => Change::EndMap(map_id(map)),
        Step::Area { area, site, map, at_m, grace_s, is_tagged } => Change::Area {
            site: site.map(site_id),
            map: map.map(map_id),
            plan: area_plan(area, at_m, is_tagged),
            settings: Some(AreaSettings { rules: graced(grace_s), source: None }),
        },
        Step::EndArea(area) => Change::EndArea(area_id(area)),
        Step::Rule { rule, site, map, area, is_stay } => {
            let tag = (map.is_none() && area.is_none()).then(|| "quiet".to_owned());
            let target = RuleTarget { site: site.map(SiteKey), map: map.map(MapKey), area: area.map(AreaKey), tag };
            let condition = if is_stay { Condition::Dwell } else { Condition::Above { limit: 2, clear: 1 } };
            Change::Rule {
                key: rule.map(RuleKey),
                record: RuleRecord {
                    name: "Crowd".into(),
                    target,
                    condition,
                    for_s: 60.0,
                    repeat_s: None,
                    schedule_json: Some(r#"[{"days": ["mon"], "from": "08:00", "to": "18:00"}]"#.into()),
                    severity: "warning".into(),
                    message: None,
                    is_enabled: true,
                },
            }
        }
        Step::EndRule(rule) => Change::EndRule(RuleKey(rule)),
    }
}

/// What Debug says, pretty, with what has no order in one; without what only says that something was changed.
fn in_order<'a>(lines: &mut std::iter::Peekable<impl Iterator<Item = &'a str>>) -> Vec<String> {
    const OPENERS: [char; 3] = ['(', '{', '['];
    const CLOSERS: [char; 3] = [')', '}', ']'];
    let mut all = Vec::new();
    while let Some(line) = lines.next_if(|line| !line.trim().starts_with(CLOSERS)) {
        let mut text = line.trim().to_owned();
        // A key that takes lines of its own goes on with its value.
        while text.ends_with(OPENERS) {
            text += &in_order(lines).join(" ");
            text += lines.next().expect("what is opened is closed").trim();
        }
        if !text.starts_with("has_new_rules") && !text.starts_with("replaced") {
            all.push(text);
        }
    }
    all.sort_unstable();
    all
}

fn told(known: &reload::Known) -> String {
    in_order(&mut format!("{known:#?}").lines().peekable()).join("\n").replace("} ", "}\n").replace(", ", ",\n")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn what_is_taken_in_by_changes_is_what_a_start_reads(
        uploads in vec((vec(step(), 1..3), prop::bool::weighted(0.1)), 1..16)
    ) {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("places.duckdb");
        let store = Store::open(&StoreOptions { path, memory_limit: None, threads: Some(1) }).unwrap();
        let defaults = Defaults { rules: PresenceRules::DEFAULT, dedupe_window: DedupeWindow(0) };
        let mut writer = Writer::new(&store).unwrap();
        let mut known = reload::load(&store, &defaults).unwrap().known;
        for (n, (steps, is_rehearsal)) in uploads.into_iter().enumerate() {
            let changes = steps.into_iter().map(change).collect();
            let now = ReceivedAt(1_780_000_000_000 + n as i64 * 1000);
            // Some name what is not there; then nothing is changed.
            if let Ok((_, Some(whose))) = apply(changes, is_rehearsal, &mut writer, &mut known.directory, now)
                && !is_rehearsal
            {
                store.read(|conn| known.take_in(conn, &whose, &defaults)).unwrap();
            }
        }
        prop_assert_eq!(told(&known), told(&reload::load(&store, &defaults).unwrap().known));
    }
}
