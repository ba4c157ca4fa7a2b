//! Alert rules on their way to the engine, and what became of alarms on its way into the drain.

use std::collections::BTreeMap;

use chrono::Weekday;
use rustc_hash::FxHashMap;

use super::places::Places;
use crate::engine::{Alerting, Counted, Engine};
use crate::model::alert::{AlarmChange, AlarmId, Condition, Rule, Subject};
use crate::model::ids::{AlertKey, AreaKey, AreaKind, SiteKey};
use crate::model::schedule::{DAY_MIN, Schedule, Window};
use crate::model::visit::Source;
use crate::store::alerts::{self, Labels, Resolved, RuleRow};
use crate::store::row::{self, Instant, column};
use crate::store::writer::Drain;
use crate::store::{ReadConnection, StoreError};

/// Gives every site of an engine the rules that are valid now.
pub fn give_rules(conn: &ReadConnection, places: &Places, engine: &mut Engine) -> Result<(), StoreError> {
    let (rules, labels) = (alerts::rules(conn)?, alerts::labels(conn)?);
    for (site, alerting) in alerting(&rules, &labels, places) {
        engine.set_alerting(site, alerting);
    }
    Ok(())
}

/// For each site, its rules that are enabled.
fn alerting(rules: &[RuleRow], labels: &Labels, places: &Places) -> BTreeMap<SiteKey, Alerting> {
    let mut sites: BTreeMap<SiteKey, Alerting> =
        places.sites.iter().map(|site| (site.key, Alerting::default())).collect();
    let own: FxHashMap<AreaKey, (&[String], Option<u8>)> =
        labels.areas.iter().map(|(area, tags, source)| (*area, (tags.as_slice(), *source))).collect();
    let mut subjects: BTreeMap<(usize, SiteKey), Vec<Subject>> = BTreeMap::new();
    for area in &places.areas {
        let Some(site) = area.site else { continue };
        let (tags, source) = own.get(&area.key).copied().unwrap_or_default();
        let is_mapped_zone = area.id.kind == AreaKind::Zone && area.version > 0;
        let source = match source {
            Some(0) => Source::Computed,
            None if is_mapped_zone => Source::Computed,
            _ => Source::Reported,
        };
        if let Some(alerting) = sites.get_mut(&site) {
            alerting.areas.insert(area.key, Counted { source, map: area.map });
        }
        for (place, rule) in rules.iter().enumerate() {
            let target = &rule.record.target;
            let is_tagged = target.tag.as_ref().is_some_and(|tag| tags.contains(tag))
                && target.site.is_none_or(|target| target == site);
            if target.area == Some(area.key) || is_tagged {
                subjects.entry((place, site)).or_default().push(Subject::Area(area.key));
            }
        }
    }
    for (place, rule) in rules.iter().enumerate() {
        let target = &rule.record.target;
        if let Some(map) = places.maps.iter().find(|map| Some(map.key) == target.map)
            && let Some(site) = map.site
        {
            subjects.entry((place, site)).or_default().push(Subject::Map(map.key));
        }
        if let (Some(site), None) = (target.site, &target.tag) {
            subjects.entry((place, site)).or_default().push(Subject::Site);
        }
    }
    for ((place, site), subjects) in subjects {
        let zone = labels.time_zones.iter().find(|(key, _)| *key == site).map(|(_, zone)| zone.as_str());
        if rules[place].record.is_enabled
            && let Some(alerting) = sites.get_mut(&site)
        {
            alerting.rules.push(rule(&rules[place], zone.unwrap_or("UTC"), subjects));
        }
    }
    sites
}

fn rule(row: &RuleRow, zone: &str, subjects: Vec<Subject>) -> Rule {
    let record = &row.record;
    let (limit, clear) = (record.limit, record.clear);
    let condition = if record.is_above { Condition::Above { limit, clear } } else { Condition::Below { limit, clear } };
    let schedule = record.schedule_json.as_deref().and_then(|json| {
        let times: Vec<ScheduleTimes> = serde_json::from_str(json).ok()?;
        Schedule::new(zone.parse().ok()?, windows(&times)?)
    });
    let for_ms = (record.for_s * 1000.0).round() as i64;
    Rule { key: row.key, version: row.version, condition, for_ms, schedule, subjects }
}

/// Times of some days of the week, as they are given and stored.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScheduleTimes {
    /// `mon`, `tue`, `wed`, `thu`, `fri`, `sat`, `sun`.
    #[schema(example = json!(["mon", "tue"]))]
    pub days: Vec<String>,
    #[schema(example = "08:00")]
    pub from: String,
    /// Not included; `24:00` is the end of the day.
    #[schema(example = "18:30")]
    pub to: String,
}

/// The windows of some times; `None` where one is no time of a day, or ends before it begins.
pub fn windows(times: &[ScheduleTimes]) -> Option<Vec<Window>> {
    let mut windows = Vec::new();
    for ScheduleTimes { days, from, to } in times {
        let (from_min, to_min) = (minute(from)?, minute(to)?);
        for day in days {
            windows.push(Window { weekday: day.parse::<Weekday>().ok()?, from_min, to_min });
        }
    }
    let is_sound = |window: &Window| window.from_min < window.to_min;
    (!windows.is_empty() && windows.iter().all(is_sound)).then_some(windows)
}

fn minute(text: &str) -> Option<u32> {
    let (hours, minutes) = text.split_once(':')?;
    let (hours, minutes): (u32, u32) = (hours.parse().ok()?, minutes.parse().ok()?);
    let minute = hours.checked_mul(60)?.checked_add(minutes)?;
    (minutes < 60 && minute <= DAY_MIN).then_some(minute)
}

/// The alerts that fire now, and the number of the next.
#[derive(Debug)]
pub struct Alarms {
    next: AlertKey,
    firing: FxHashMap<(SiteKey, AlarmId), AlertKey>,
}

impl Alarms {
    /// Gives an engine, whose rules and visits are there, the alarms that were not ok.
    pub fn restore(conn: &ReadConnection, engine: &mut Engine) -> Result<Alarms, StoreError> {
        let mut firing = FxHashMap::default();
        for (site, id, alarm, alert) in alerts::alarms(conn)? {
            engine.restore_alarm(site, id, alarm);
            firing.extend(alert.map(|alert| ((site, id), alert)));
        }
        Ok(Alarms { next: alerts::next_alert(conn)?, firing })
    }

    /// Puts what became of alarms into the drain.
    pub fn settle(&mut self, changes: Vec<(SiteKey, AlarmChange)>, drain: &mut Drain) {
        let mut pending = BTreeMap::new();
        for (site, change) in changes {
            match change {
                AlarmChange::Pending { id, version, since } => {
                    let (map_key, area_key) = alerts::columns(id.subject);
                    let row = row::PendingAlarm {
                        rule_key: column(id.rule.0),
                        rule_version: column(version),
                        site_key: column(site.0),
                        map_key,
                        area_key,
                        since_at: Instant(since.0),
                    };
                    pending.insert((site, id), Some(row));
                }
                AlarmChange::Calmed { id } => _ = pending.insert((site, id), None),
                AlarmChange::Fired { id, version, since, at, clients } => {
                    pending.insert((site, id), None);
                    let alert = self.next;
                    self.next.0 += 1;
                    self.firing.insert((site, id), alert);
                    let (map_key, area_key) = alerts::columns(id.subject);
                    drain.alerts.push(row::Alert {
                        alert_key: alert.0,
                        rule_key: column(id.rule.0),
                        rule_version: column(version),
                        site_key: column(site.0),
                        map_key,
                        area_key,
                        since_at: Instant(since.0),
                        fired_at: Instant(at.0),
                        clients: i64::from(clients),
                        resolved_at: None,
                        resolved_clients: None,
                        resolution: None,
                    });
                }
                AlarmChange::Resolved { id, at, clients, why } => {
                    if let Some(alert) = self.firing.remove(&(site, id)) {
                        drain.resolved_alerts.push(Resolved { alert, at, clients, why });
                    }
                }
            }
        }
        drain.pending_alarms.extend(pending);
    }
}
