//! Columns: of answers, since hundreds of thousands of rows that are only counted need not be rows, and of what is in memory.

use duckdb::arrow::array::{
    Array, BooleanArray, Float32Array, Int32Array, Int64Array, TimestampMicrosecondArray, UInt8Array,
};
use duckdb::arrow::record_batch::RecordBatch;
use duckdb::types::Value;
use duckdb::{Connection, ToSql, params_from_iter};

use super::StoreError;

/// A piece of an answer.
pub(super) struct Batch(RecordBatch);

/// Asks, and hands each piece of the answer to `take`.
pub(super) fn ask_columns(
    conn: &Connection,
    sql: &str,
    params: Vec<Value>,
    mut take: impl FnMut(Batch) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut statement = conn.prepare(sql)?;
    // Whole, since DuckDB gathers it with all its threads, and streams with one. Not the iterator, which panics where `step`
    // tells of an error.
    let _ = statement.query_arrow(params_from_iter(params.iter().map(|param| param as &dyn ToSql)))?;
    while let Some(rows) = statement.step()? {
        take(Batch(RecordBatch::from(&rows)))?;
    }
    Ok(())
}

impl Batch {
    pub fn rows(&self) -> usize {
        self.0.num_rows()
    }

    fn column<T: 'static>(&self, place: usize) -> Result<&T, StoreError> {
        self.0.column(place).as_any().downcast_ref().ok_or_else(|| StoreError::Corrupt {
            what: "answer",
            problem: format!("column {place} is {}", self.0.column(place).data_type()),
        })
    }

    pub fn integers(&self, place: usize) -> Result<&[i32], StoreError> {
        Ok(self.column::<Int32Array>(place)?.values())
    }

    pub fn longs(&self, place: usize) -> Result<&[i64], StoreError> {
        Ok(self.column::<Int64Array>(place)?.values())
    }

    pub fn bytes(&self, place: usize) -> Result<&[u8], StoreError> {
        Ok(self.column::<UInt8Array>(place)?.values())
    }

    /// Numbers, null or not.
    pub fn floats(&self, place: usize) -> Result<Floats<'_>, StoreError> {
        Ok(Floats(self.column(place)?))
    }

    pub fn flags(&self, place: usize) -> Result<&BooleanArray, StoreError> {
        self.column(place)
    }

    /// Instants, null or not.
    pub fn times(&self, place: usize) -> Result<Times<'_>, StoreError> {
        Ok(Times(self.column(place)?))
    }
}

/// Instants that are stored to the millisecond.
pub(super) struct Times<'a>(&'a TimestampMicrosecondArray);

impl Times<'_> {
    /// Unix milliseconds.
    pub fn ms(&self, row: usize) -> i64 {
        self.0.value(row).div_euclid(1000)
    }

    pub fn ms_or_null(&self, row: usize) -> Option<i64> {
        self.0.is_valid(row).then(|| self.ms(row))
    }
}

/// Numbers some of which are not known.
pub(super) struct Floats<'a>(&'a Float32Array);

impl Floats<'_> {
    pub fn or_null(&self, row: usize) -> Option<f32> {
        self.0.is_valid(row).then(|| self.0.value(row))
    }
}

/// So many keys are looked at together.
const FEW: usize = if cfg!(test) { 3 } else { 64 };

/// Hands on the places of a column that have one of some keys, in order.
pub(super) fn each_place(column: &[i32], keys: &[i32], mut take: impl FnMut(usize)) {
    for (number, few) in column.chunks(FEW).enumerate() {
        // Without a branch for each, so that many are compared at once: most of the time none is asked for.
        let has = |key: &i32| few.iter().fold(false, |has, own| has | (own == key));
        if keys.iter().any(has) {
            let places = few.iter().enumerate().filter(|(_, own)| keys.contains(own)).map(|(place, _)| place);
            places.for_each(|place| take(number * FEW + place));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_of_a_key_is_told_once_and_in_order() {
        let column: Vec<i32> = (0..100).map(|place| place * 7 % 11).collect();
        for length in 0..column.len() {
            for keys in [&[][..], &[3], &[10, 0], &[5, 5, 12]] {
                let mut found = Vec::new();
                each_place(&column[..length], keys, |place| found.push(place));
                let expected: Vec<usize> = (0..length).filter(|place| keys.contains(&column[*place])).collect();
                assert_eq!(found, expected);
            }
        }
    }
}
