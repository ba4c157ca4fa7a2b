//! Values as the PostgreSQL protocol carries them: rows out of Arrow, as text or binary, and parameters in.
//!
//! The formats are PostgreSQL's own: `src/backend/utils/adt` of its sources, each type's `_out` and `_send`.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
    UInt8Type, UInt16Type, UInt32Type,
};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use bytes::{BufMut, Bytes, BytesMut};
use pgwire::api::Type;
use pgwire::api::portal::Format;
use pgwire::api::results::{FieldFormat, FieldInfo};
use pgwire::messages::data::DataRow;

use crate::store::sql::Parameter;

/// From 1970 to 2000, where PostgreSQL's time begins.
const EPOCH_DAYS: i32 = 10_957;
const EPOCH_MICROS: i64 = EPOCH_DAYS as i64 * 86_400_000_000;

/// The PostgreSQL type of a column.
pub fn type_of(data_type: &DataType) -> Type {
    match data_type {
        DataType::Boolean => Type::BOOL,
        DataType::Int8 | DataType::UInt8 | DataType::Int16 => Type::INT2,
        DataType::UInt16 | DataType::Int32 => Type::INT4,
        DataType::UInt32 | DataType::Int64 => Type::INT8,
        DataType::UInt64 | DataType::Decimal128(..) => Type::NUMERIC,
        DataType::Float32 => Type::FLOAT4,
        DataType::Float64 => Type::FLOAT8,
        DataType::Date32 => Type::DATE,
        DataType::Timestamp(_, None) => Type::TIMESTAMP,
        DataType::Timestamp(_, Some(_)) => Type::TIMESTAMPTZ,
        DataType::Binary => Type::BYTEA,
        DataType::List(item) => match type_of(item.data_type()) {
            Type::BOOL => Type::BOOL_ARRAY,
            Type::INT2 => Type::INT2_ARRAY,
            Type::INT4 => Type::INT4_ARRAY,
            Type::INT8 => Type::INT8_ARRAY,
            Type::FLOAT4 => Type::FLOAT4_ARRAY,
            Type::FLOAT8 => Type::FLOAT8_ARRAY,
            Type::TIMESTAMPTZ => Type::TIMESTAMPTZ_ARRAY,
            Type::TEXT => Type::TEXT_ARRAY,
            _ => Type::TEXT,
        },
        // Times of day, intervals, structs: as the text that DuckDB would show.
        _ => Type::TEXT,
    }
}

/// What a client is told of an answer's columns.
pub fn fields(schema: &arrow::datatypes::Schema, format: &Format) -> Vec<FieldInfo> {
    let field = |(place, field): (usize, &Arc<arrow::datatypes::Field>)| {
        let (kind, format) = (type_of(field.data_type()), format.format_for(place));
        FieldInfo::new(field.name().clone(), None, None, kind, format)
    };
    schema.fields().iter().enumerate().map(field).collect()
}

/// Rows, in the formats that the fields say.
pub fn rows(batch: &RecordBatch, fields: &[FieldInfo]) -> Result<Vec<DataRow>, ArrowError> {
    let columns = batch
        .columns()
        .iter()
        .map(|column| Column::new(column.as_ref()))
        .collect::<Result<Vec<Column>, ArrowError>>()?;
    let mut buffer = BytesMut::new();
    let mut rows = Vec::with_capacity(batch.num_rows());
    for row in 0..batch.num_rows() {
        for (column, field) in columns.iter().zip(fields) {
            column.put(row, field.format() == FieldFormat::Binary, &mut buffer)?;
        }
        rows.push(DataRow::new(buffer.split(), columns.len() as i16));
    }
    Ok(rows)
}

/// A column that can be written.
struct Column<'a> {
    array: &'a dyn Array,
    kind: Type,
    /// For what has no better text of ours.
    formatter: ArrayFormatter<'a>,
}

const FORMAT: FormatOptions<'static> = FormatOptions::new()
    .with_timestamp_format(Some("%Y-%m-%d %H:%M:%S%.f"))
    .with_timestamp_tz_format(Some("%Y-%m-%d %H:%M:%S%.f+00"));

impl<'a> Column<'a> {
    fn new(array: &'a dyn Array) -> Result<Column<'a>, ArrowError> {
        Ok(Column { array, kind: type_of(array.data_type()), formatter: ArrayFormatter::try_new(array, &FORMAT)? })
    }

    /// Writes a value after its length; null is a length of -1.
    fn put(&self, row: usize, is_binary: bool, out: &mut BytesMut) -> Result<(), ArrowError> {
        if self.array.is_null(row) {
            out.put_i32(-1);
            return Ok(());
        }
        let begin = out.len();
        out.put_i32(0);
        match is_binary {
            true => self.put_binary(row, out)?,
            false => self.put_text(row, out)?,
        }
        let length = (out.len() - begin - 4) as i32;
        out[begin..begin + 4].copy_from_slice(&length.to_be_bytes());
        Ok(())
    }

    fn put_text(&self, row: usize, out: &mut BytesMut) -> Result<(), ArrowError> {
        let text = match self.array.data_type() {
            DataType::Boolean => if self.array.as_boolean().value(row) { "t" } else { "f" }.to_owned(),
            DataType::Float32 => float_text(self.array.as_primitive::<Float32Type>().value(row).into(), || {
                self.array.as_primitive::<Float32Type>().value(row).to_string()
            }),
            DataType::Float64 => {
                let number = self.array.as_primitive::<Float64Type>().value(row);
                float_text(number, || number.to_string())
            }
            DataType::Decimal128(_, scale) => {
                decimal_text(self.array.as_primitive::<Decimal128Type>().value(row), *scale)
            }
            DataType::Binary => format!("\\x{}", hex::encode(self.array.as_binary::<i32>().value(row))),
            DataType::Timestamp(..) if self.micros(row).unsigned_abs() == i64::MAX.unsigned_abs() => {
                if self.micros(row) > 0 { "infinity" } else { "-infinity" }.to_owned()
            }
            DataType::List(_) if self.kind != Type::TEXT => return self.put_list_text(row, out),
            _ => self.formatter.value(row).try_to_string()?,
        };
        out.put_slice(text.as_bytes());
        Ok(())
    }

    fn put_binary(&self, row: usize, out: &mut BytesMut) -> Result<(), ArrowError> {
        match self.kind {
            Type::BOOL => out.put_u8(self.array.as_boolean().value(row).into()),
            Type::INT2 => out.put_i16(self.integer(row) as i16),
            Type::INT4 => out.put_i32(self.integer(row) as i32),
            Type::INT8 => out.put_i64(self.integer(row)),
            Type::FLOAT4 => out.put_f32(self.array.as_primitive::<Float32Type>().value(row)),
            Type::FLOAT8 => out.put_f64(self.array.as_primitive::<Float64Type>().value(row)),
            Type::DATE => out.put_i32(self.array.as_primitive::<Date32Type>().value(row) - EPOCH_DAYS),
            Type::TIMESTAMP | Type::TIMESTAMPTZ => match self.micros(row) {
                i64::MAX => out.put_i64(i64::MAX),
                micros if micros == -i64::MAX => out.put_i64(i64::MIN),
                micros => out.put_i64(micros.saturating_sub(EPOCH_MICROS)),
            },
            Type::NUMERIC => {
                let mut text = BytesMut::new();
                self.put_text(row, &mut text)?;
                put_numeric(&String::from_utf8_lossy(&text), out);
            }
            Type::BYTEA => out.put_slice(self.array.as_binary::<i32>().value(row)),
            Type::TEXT => self.put_text(row, out)?,
            _ => self.put_list_binary(row, out)?,
        }
        Ok(())
    }

    fn integer(&self, row: usize) -> i64 {
        match self.array.data_type() {
            DataType::Int8 => self.array.as_primitive::<Int8Type>().value(row).into(),
            DataType::UInt8 => self.array.as_primitive::<UInt8Type>().value(row).into(),
            DataType::Int16 => self.array.as_primitive::<Int16Type>().value(row).into(),
            DataType::UInt16 => self.array.as_primitive::<UInt16Type>().value(row).into(),
            DataType::Int32 => self.array.as_primitive::<Int32Type>().value(row).into(),
            DataType::UInt32 => self.array.as_primitive::<UInt32Type>().value(row).into(),
            _ => self.array.as_primitive::<Int64Type>().value(row),
        }
    }

    /// Unix microseconds.
    fn micros(&self, row: usize) -> i64 {
        match self.array.data_type() {
            DataType::Timestamp(TimeUnit::Second, _) => {
                self.array.as_primitive::<TimestampSecondType>().value(row).saturating_mul(1_000_000)
            }
            DataType::Timestamp(TimeUnit::Millisecond, _) => {
                self.array.as_primitive::<TimestampMillisecondType>().value(row).saturating_mul(1000)
            }
            DataType::Timestamp(TimeUnit::Nanosecond, _) => {
                self.array.as_primitive::<TimestampNanosecondType>().value(row) / 1000
            }
            _ => self.array.as_primitive::<TimestampMicrosecondType>().value(row),
        }
    }

    /// `{1,2,NULL}`, texts in quotes.
    fn put_list_text(&self, row: usize, out: &mut BytesMut) -> Result<(), ArrowError> {
        let items = self.array.as_list::<i32>().value(row);
        let column = Column::new(items.as_ref())?;
        out.put_u8(b'{');
        for place in 0..items.len() {
            if place > 0 {
                out.put_u8(b',');
            }
            if items.is_null(place) {
                out.put_slice(b"NULL");
                continue;
            }
            let mut item = BytesMut::new();
            column.put_text(place, &mut item)?;
            out.put_u8(b'"');
            for byte in item {
                if matches!(byte, b'"' | b'\\') {
                    out.put_u8(b'\\');
                }
                out.put_u8(byte);
            }
            out.put_u8(b'"');
        }
        out.put_u8(b'}');
        Ok(())
    }

    /// Dimensions, whether there are nulls, the items' type, length, first number, items.
    fn put_list_binary(&self, row: usize, out: &mut BytesMut) -> Result<(), ArrowError> {
        let items = self.array.as_list::<i32>().value(row);
        let column = Column::new(items.as_ref())?;
        out.put_i32(if items.is_empty() { 0 } else { 1 });
        out.put_i32((items.null_count() > 0).into());
        out.put_u32(column.kind.oid());
        if items.is_empty() {
            return Ok(());
        }
        out.put_i32(items.len() as i32);
        out.put_i32(1);
        (0..items.len()).try_for_each(|place| column.put(place, true, out))
    }
}

fn float_text(number: f64, text: impl Fn() -> String) -> String {
    match number {
        number if number.is_nan() => "NaN".into(),
        f64::INFINITY => "Infinity".into(),
        f64::NEG_INFINITY => "-Infinity".into(),
        _ => text(),
    }
}

/// All digits: Arrow's own text leaves some out of a number as long as a HUGEINT may be.
fn decimal_text(number: i128, scale: i8) -> String {
    let scale = usize::try_from(scale).unwrap_or(0);
    let digits = format!("{:0>width$}", number.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let sign = if number < 0 { "-" } else { "" };
    if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

/// A decimal number: how many groups of four digits, the first group's weight, the sign, digits after the point, groups.
fn put_numeric(text: &str, out: &mut BytesMut) {
    let (sign, digits) = text.strip_prefix('-').map_or((0u16, text), |digits| (0x4000, digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let whole = whole.trim_start_matches('0');
    let padded = "0".repeat((4 - whole.len() % 4) % 4) + whole;
    let behind = fraction.to_owned() + &"0".repeat((4 - fraction.len() % 4) % 4);
    let group = |four: &[u8]| four.iter().fold(0i16, |sum, digit| sum * 10 + i16::from(digit - b'0'));
    let mut groups: Vec<i16> = padded.as_bytes().chunks(4).chain(behind.as_bytes().chunks(4)).map(group).collect();
    let mut weight = padded.len() as i16 / 4 - 1;
    while groups.first() == Some(&0) {
        groups.remove(0);
        weight -= 1;
    }
    while groups.last() == Some(&0) {
        groups.pop();
    }
    out.put_i16(groups.len() as i16);
    out.put_i16(if groups.is_empty() { 0 } else { weight });
    out.put_u16(if groups.is_empty() { 0 } else { sign });
    out.put_u16(fraction.len() as u16);
    groups.into_iter().for_each(|group| out.put_i16(group));
}

/// A type by one of the names that a cast may give it.
pub fn type_named(name: &str) -> Option<Type> {
    Some(match name {
        "bool" | "boolean" => Type::BOOL,
        "smallint" | "int2" => Type::INT2,
        "int" | "integer" | "int4" => Type::INT4,
        "bigint" | "int8" | "long" => Type::INT8,
        "real" | "float4" => Type::FLOAT4,
        "double" | "float8" | "float" => Type::FLOAT8,
        "numeric" | "decimal" => Type::NUMERIC,
        "date" => Type::DATE,
        "timestamp" => Type::TIMESTAMP,
        "timestamptz" => Type::TIMESTAMPTZ,
        "uuid" => Type::UUID,
        "text" | "varchar" | "interval" | "name" | "regclass" => Type::TEXT,
        _ => return None,
    })
}

/// A parameter as it was sent.
pub fn parameter(sent: Option<&Bytes>, is_binary: bool, kind: &Type) -> Result<Parameter, String> {
    let Some(bytes) = sent else { return Ok(Parameter::Null) };
    if is_binary {
        return binary_parameter(bytes, kind)
            .ok_or_else(|| format!("{} is not taken in binary like this: send it as text", kind.name()));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
    if text.contains('\0') {
        return Err("it holds NUL".into());
    }
    let wrong = || format!("{text:?} is no {}", kind.name());
    match *kind {
        Type::BOOL => match text.trim().to_lowercase().as_str() {
            "t" | "true" | "1" | "on" | "yes" | "y" => Ok(Parameter::Flag(true)),
            "f" | "false" | "0" | "off" | "no" | "n" => Ok(Parameter::Flag(false)),
            _ => Err(wrong()),
        },
        Type::INT2 | Type::INT4 | Type::INT8 | Type::OID => {
            text.trim().parse().map(Parameter::Integer).map_err(|_| wrong())
        }
        Type::FLOAT4 | Type::FLOAT8 => text.trim().parse().map(Parameter::Number).map_err(|_| wrong()),
        _ => Ok(Parameter::Text(text.to_owned())),
    }
}

fn binary_parameter(bytes: &Bytes, kind: &Type) -> Option<Parameter> {
    let whole = bytes.as_ref();
    Some(match *kind {
        Type::BOOL => Parameter::Flag(*whole.first()? != 0),
        Type::INT2 => Parameter::Integer(i16::from_be_bytes(whole.try_into().ok()?).into()),
        Type::INT4 => Parameter::Integer(i32::from_be_bytes(whole.try_into().ok()?).into()),
        Type::OID => Parameter::Integer(u32::from_be_bytes(whole.try_into().ok()?).into()),
        Type::INT8 => Parameter::Integer(i64::from_be_bytes(whole.try_into().ok()?)),
        Type::FLOAT4 => Parameter::Number(f32::from_be_bytes(whole.try_into().ok()?).into()),
        Type::FLOAT8 => Parameter::Number(f64::from_be_bytes(whole.try_into().ok()?)),
        Type::TIMESTAMP | Type::TIMESTAMPTZ => {
            Parameter::Time(i64::from_be_bytes(whole.try_into().ok()?).checked_add(EPOCH_MICROS)?)
        }
        Type::DATE => {
            let days = i32::from_be_bytes(whole.try_into().ok()?).checked_add(EPOCH_DAYS)?;
            let date = chrono::NaiveDate::from_epoch_days(days)?;
            Parameter::Text(date.to_string())
        }
        Type::UUID => {
            let digits = hex::encode(<[u8; 16]>::try_from(whole).ok()?);
            let parts = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]];
            Parameter::Text(parts.join("-"))
        }
        Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::UNKNOWN | Type::JSON => {
            let text = std::str::from_utf8(whole).ok()?;
            (!text.contains('\0')).then(|| Parameter::Text(text.to_owned()))?
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, BooleanArray, Decimal128Array, Float64Array, ListArray, StringArray};
    use arrow::datatypes::Int64Type;

    use super::*;

    fn written(array: ArrayRef, is_binary: bool) -> Vec<Option<Vec<u8>>> {
        let column = Column::new(array.as_ref()).unwrap();
        (0..array.len())
            .map(|row| {
                let mut out = BytesMut::new();
                column.put(row, is_binary, &mut out).unwrap();
                let length = i32::from_be_bytes(out[..4].try_into().unwrap());
                (length >= 0).then(|| {
                    assert_eq!(length as usize, out.len() - 4);
                    out[4..].to_vec()
                })
            })
            .collect()
    }

    fn texts(array: ArrayRef) -> Vec<Option<String>> {
        written(array, false).into_iter().map(|value| value.map(|bytes| String::from_utf8(bytes).unwrap())).collect()
    }

    #[test]
    fn texts_are_as_postgresql_writes_them() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(texts(Arc::new(BooleanArray::from(vec![Some(true), None]))), [some("t"), None]);
        assert_eq!(
            texts(Arc::new(Float64Array::from(vec![1.5, f64::INFINITY, f64::NAN]))),
            [some("1.5"), some("Infinity"), some("NaN")]
        );
        let list = ListArray::from_iter_primitive::<Int64Type, _, _>([Some([Some(1), None])]);
        assert_eq!(texts(Arc::new(list)), [some("{\"1\",NULL}")]);
        let time = arrow::array::TimestampMicrosecondArray::from(vec![1_500_000, i64::MAX]).with_timezone("UTC");
        assert_eq!(texts(Arc::new(time)), [some("1970-01-01 00:00:01.500+00"), some("infinity")]);
    }

    #[test]
    fn numerics_are_groups_of_four_digits() {
        let number = |value: i128, scale| {
            let array = Decimal128Array::from(vec![value]).with_precision_and_scale(38, scale).unwrap();
            let bytes = written(Arc::new(array), true).remove(0).unwrap();
            bytes.chunks(2).map(|two| i16::from_be_bytes(two.try_into().unwrap())).collect::<Vec<_>>()
        };
        // From PostgreSQL's numeric_send: groups, weight, sign, scale.
        assert_eq!(number(0, 0), [0, 0, 0, 0]);
        assert_eq!(number(1, 0), [1, 0, 0, 0, 1]);
        assert_eq!(number(-123_456_789, 3), [3, 1, 0x4000, 3, 12, 3456, 7890]);
        assert_eq!(number(10_000, 0), [1, 1, 0, 0, 1]);
        assert_eq!(number(5, 5), [1, -2, 0, 5, 5000]);
    }

    #[test]
    fn parameters_are_read_in_both_formats() {
        let read =
            |bytes: &'static [u8], is_binary, kind| parameter(Some(&Bytes::from_static(bytes)), is_binary, &kind);
        assert_eq!(read(b"42", false, Type::INT4), Ok(Parameter::Integer(42)));
        assert_eq!(read(&[0, 0, 0, 42], true, Type::INT4), Ok(Parameter::Integer(42)));
        assert_eq!(read(b"a", true, Type::TEXT), Ok(Parameter::Text("a".into())));
        assert_eq!(read(&[0; 8], true, Type::TIMESTAMPTZ), Ok(Parameter::Time(946_684_800_000_000)));
        assert_eq!(read(&[0, 0, 0, 1], true, Type::DATE), Ok(Parameter::Text("2000-01-02".into())));
        assert_eq!(parameter(None, true, &Type::INT8), Ok(Parameter::Null));
        assert!(read(b"x", false, Type::INT4).is_err());
        assert!(read(&[1, 2], true, Type::INT4).is_err());
        assert!(read(&[0xff], false, Type::TEXT).is_err());
        let names: StringArray = vec!["a\"b"].into();
        assert_eq!(type_of(names.data_type()), Type::TEXT);
    }
}
