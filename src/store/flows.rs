//! From which area to which clients go: the settled days from memory, client by client, the rest from the file.

use std::sync::Arc;

use duckdb::types::Value;

use super::StoreError;
use super::columns::ask_columns;
use super::past::{DAY_MS, Day, PastVisit, each_client, middle_client};
use super::plans::areas_by_key;
use super::spans::{Chosen, SpanFilter, VisitQuestion};
use crate::model::grouping;
use crate::model::movement::{Flows, STAYS, Step};

/// How often clients went from one area to another.
#[derive(Clone, Debug)]
pub struct FlowRow {
    pub from_id: String,
    pub from_name: Option<String>,
    pub to_id: String,
    pub to_name: Option<String>,
    pub count: i64,
    pub unique_clients: i64,
    /// Between leaving one and entering the other; null where none had left.
    pub median_gap_s: Option<f64>,
}

impl VisitQuestion<'_> {
    /// Flows whose second visit began in the window, the most frequent first.
    pub fn flows(&self, flow_gap_s: f64) -> Result<Vec<FlowRow>, StoreError> {
        let Some(chosen) = self.chosen() else { return Ok(Vec::new()) };
        let gap_ms = (flow_gap_s * 1000.0) as i64;
        let flows = match self.flows_of_past(&chosen, gap_ms)? {
            Some(flows) => flows,
            None => Flows::of(&self.steps(&chosen, flow_gap_s)?, self.filter.from_ms, gap_ms),
        };
        let areas = areas_by_key(self.areas);
        let area = |key: i32| areas.get(&key).map(|area| (area.id.clone(), area.name.clone())).unwrap_or_default();
        let mut rows: Vec<FlowRow> = flows
            .counted()
            .into_iter()
            .map(|flow| {
                let ((from_id, from_name), (to_id, to_name)) = (area(flow.from), area(flow.to));
                let median_gap_s = flow.median_gap_ms.map(|ms| ms / 1000.0);
                let (count, unique_clients) = (flow.count as i64, flow.unique_clients as i64);
                FlowRow { from_id, from_name, to_id, to_name, count, unique_clients, median_gap_s }
            })
            .collect();
        rows.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| (&a.from_id, &a.to_id).cmp(&(&b.from_id, &b.to_id))));
        Ok(rows)
    }

    /// What may be a step within the window, as the file has it.
    fn steps(&self, chosen: &Chosen, flow_gap_s: f64) -> Result<Vec<Step>, StoreError> {
        let mut params = self.params(chosen);
        params.push(Value::Double(flow_gap_s));
        let mut steps = Vec::new();
        let sql = self.scope.about_clients(include_str!("sql/flows.sql"), false);
        ask_columns(self.conn, &sql, params, |batch| {
            let (sites, clients, areas, sources) =
                (batch.integers(0)?, batch.integers(1)?, batch.integers(2)?, batch.bytes(3)?);
            let (visits, entered, exited) = (batch.longs(4)?, batch.times(5)?, batch.times(6)?);
            let asked_for = (0..batch.rows()).filter(|row| chosen.has(areas[*row], sources[*row]));
            steps.extend(asked_for.map(|row| Step {
                site: sites[row],
                client: clients[row],
                area: areas[row],
                visit: visits[row],
                entered_ms: entered.ms(row),
                exited_ms: exited.ms_or_null(row).unwrap_or(STAYS),
            }));
            Ok(())
        })?;
        Ok(steps)
    }

    /// Flows with the settled days from memory; `None` where the file is to be asked for all.
    fn flows_of_past(&self, chosen: &Chosen, gap_ms: i64) -> Result<Option<Flows>, StoreError> {
        let VisitQuestion { conn, past, filter, .. } = *self;
        if self.scope.is_about_clients() {
            return Ok(None);
        }
        let begin_ms = filter.from_ms.saturating_sub(gap_ms);
        let near = SpanFilter { from_ms: begin_ms, ..filter };
        let Some(view) = past.view(conn, begin_ms, filter.to_ms)? else { return Ok(None) };
        let mut recent = Vec::new();
        self.each_recent(view.end_ms(), chosen, |visit| recent.push(visit))?;
        recent.sort_unstable();
        // Whoever was somewhere already a gap before the window, and still is, may have been elsewhere in between: that is then
        // what it came from.
        let stays_on = |visit: &PastVisit| visit.entered_ms < begin_ms && near.has(visit);
        let mut first_ms = recent.iter().filter(|visit| stays_on(visit)).map(|visit| visit.entered_ms).min();
        for day in &view.days {
            chosen.each_of(day, i64::MAX, |visit| {
                if stays_on(&visit) {
                    first_ms = Some(first_ms.map_or(visit.entered_ms, |first_ms| first_ms.min(visit.entered_ms)));
                }
            });
        }
        let begin_of_day_ms = begin_ms.div_euclid(DAY_MS) * DAY_MS;
        let earlier = match first_ms.filter(|first_ms| *first_ms < begin_of_day_ms) {
            Some(first_ms) => match past.view(conn, first_ms, begin_of_day_ms - 1)? {
                Some(earlier) => Some(earlier),
                None => return Ok(None),
            },
            None => None,
        };
        let days: Vec<Arc<Day>> = earlier.iter().chain([&view]).flat_map(|view| &view.days).cloned().collect();
        let of_clients = |clients| {
            let mut flows = Flows::new(filter.from_ms, gap_ms);
            let mut steps = Vec::new();
            each_client(
                &days,
                clients,
                chosen.range(),
                |area, source| chosen.has(area, source),
                &recent,
                |visits| {
                    let since_ms = visits.iter().filter(|visit| stays_on(visit)).map(|visit| visit.entered_ms).min();
                    let is_before = |visit: &PastVisit| since_ms.is_some_and(|since_ms| visit.entered_ms >= since_ms);
                    let counts = |visit: &&PastVisit| near.has(visit) || is_before(visit) && near.began_in_time(visit);
                    steps.clear();
                    steps.extend(visits.iter().filter(counts).map(step));
                    flows.take(&mut steps);
                },
            );
            flows
        };
        let flows = if days.iter().map(|day| day.count(chosen.range(), i64::MAX)).sum::<usize>() < grouping::SHARED_MIN
        {
            of_clients(i32::MIN..=i32::MAX)
        } else {
            let middle = middle_client(&days, &chosen.range());
            let (first, second) =
                grouping::both(|| of_clients(i32::MIN..=middle), || of_clients(middle + 1..=i32::MAX));
            first.and(second)
        };
        let holds = past.holds(&view) && earlier.is_none_or(|earlier| past.holds(&earlier));
        Ok(holds.then_some(flows))
    }
}

fn step(visit: &PastVisit) -> Step {
    Step {
        site: visit.site,
        client: visit.client,
        area: visit.area,
        visit: visit.visit,
        entered_ms: visit.entered_ms,
        exited_ms: visit.exited_ms,
    }
}
