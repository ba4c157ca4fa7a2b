//! Record batches as the bytes of a file, piece by piece.

use std::io::{self, Write};
use std::mem;
use std::sync::{Arc, Mutex};

use arrow::array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::{csv, ipc, json};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

use super::error::ApiError;
use super::table::Form;

/// Writes batches of one schema in one form. What was written is taken out whenever it suits.
pub struct Encoder {
    written: Buffer,
    schema: SchemaRef,
    writer: Writer,
}

enum Writer {
    Json(json::ArrayWriter<Buffer>),
    Csv(Box<csv::Writer<Buffer>>),
    Arrow(Box<ipc::writer::StreamWriter<Buffer>>),
    Parquet(Box<ArrowWriter<Buffer>>),
}

/// Rows that Parquet keeps in memory until they can be written together, and about the bytes they may take.
const ROW_GROUP_ROWS: usize = 128 << 10;
const ROW_GROUP_BYTES: usize = 32 << 20;

/// The most that rows which come together may take: what is made of them stands in memory beside them, and texts of two
/// gigabytes are more than an array can hold.
const BATCH_BYTES_MAX: usize = 256 << 20;

/// Spreadsheets take text for UTF-8 only with this mark.
const BYTE_ORDER_MARK: &str = "\u{feff}";

impl Encoder {
    pub fn new(form: Form, schema: &SchemaRef) -> Result<Encoder, ApiError> {
        let mut written = Buffer::default();
        let writer = match form {
            Form::Json => Writer::Json(json::ArrayWriter::new(written.clone())),
            Form::Csv => {
                let mark = written.write_all(BYTE_ORDER_MARK.as_bytes());
                mark.map_err(ArrowError::from)?;
                let mut writer = csv::WriterBuilder::new().with_header(true).build(written.clone());
                // The header comes with the first batch, and is wanted also where there is none.
                writer.write(&RecordBatch::new_empty(schema.clone()))?;
                Writer::Csv(Box::new(writer))
            }
            Form::Arrow => Writer::Arrow(Box::new(ipc::writer::StreamWriter::try_new(written.clone(), schema)?)),
            Form::Parquet => {
                let properties = WriterProperties::builder()
                    .set_compression(Compression::SNAPPY)
                    .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
                    .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
                    .build();
                let writer = ArrowWriter::try_new(written.clone(), schema.clone(), Some(properties))?;
                Writer::Parquet(Box::new(writer))
            }
        };
        Ok(Encoder { written, schema: schema.clone(), writer })
    }

    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), ApiError> {
        debug_assert_eq!(batch.schema().fields(), self.schema.fields());
        if batch.get_array_memory_size() > BATCH_BYTES_MAX {
            let (rows, limit) = (batch.num_rows(), BATCH_BYTES_MAX >> 20);
            let detail = format!("{rows} rows take more than {limit} MiB: ask for fewer columns, or shorter texts");
            return Err(ApiError::Unprocessable { detail, faults: Vec::new() });
        }
        match &mut self.writer {
            Writer::Json(writer) => writer.write_batches(&[batch])?,
            Writer::Csv(writer) => writer.write(&defused(batch)?)?,
            Writer::Arrow(writer) => writer.write(batch)?,
            Writer::Parquet(writer) => writer.write(batch)?,
        }
        Ok(())
    }

    /// Bytes that can be taken.
    pub fn ready(&self) -> usize {
        self.written.lock().len()
    }

    pub fn take(&self) -> Vec<u8> {
        mem::take(&mut *self.written.lock())
    }

    /// Ends the file, and gives what was not taken yet.
    pub fn finish(self) -> Result<Vec<u8>, ApiError> {
        match self.writer {
            Writer::Json(mut writer) => writer.finish()?,
            Writer::Csv(writer) => drop(writer),
            Writer::Arrow(mut writer) => writer.finish()?,
            Writer::Parquet(writer) => drop(writer.close()?),
        }
        let rest = mem::take(&mut *self.written.lock());
        Ok(rest)
    }
}

/// Bytes that a writer, which keeps its sink for itself, has written.
#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Buffer {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<u8>> {
        self.0.lock().expect("no one panics with it")
    }
}

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.lock().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Text that a spreadsheet would take for a formula, as text: names come from whoever names a device.
fn defused(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let is_formula = |text: &str| text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let columns: Vec<ArrayRef> = batch
        .columns()
        .iter()
        .map(|column| match column.as_any().downcast_ref::<StringArray>() {
            Some(texts) if texts.iter().flatten().any(is_formula) => {
                let plain = |text: &str| if is_formula(text) { format!("'{text}") } else { text.to_owned() };
                Arc::new(texts.iter().map(|text| text.map(plain)).collect::<StringArray>()) as ArrayRef
            }
            _ => column.clone(),
        })
        .collect();
    RecordBatch::try_new(batch.schema(), columns)
}

#[cfg(test)]
mod tests {
    use arrow::array::Int64Array;
    use arrow::datatypes::{DataType, Field, Schema};

    use super::*;

    fn batch() -> RecordBatch {
        let fields = vec![Field::new("name", DataType::Utf8, true), Field::new("number", DataType::Int64, true)];
        let names = StringArray::from(vec![Some("=1+1"), Some("Ann, \"A\"")]);
        let numbers = Int64Array::from(vec![Some(-5), None]);
        RecordBatch::try_new(Arc::new(Schema::new(fields)), vec![Arc::new(names), Arc::new(numbers)]).unwrap()
    }

    #[test]
    fn formulas_are_text_in_a_spreadsheet_and_numbers_stay_numbers() {
        let batch = batch();
        let mut encoder = Encoder::new(Form::Csv, &batch.schema()).unwrap();
        encoder.write(&batch).unwrap();
        let text = String::from_utf8(encoder.finish().unwrap()).unwrap();
        assert_eq!(text, "\u{feff}name,number\n'=1+1,-5\n\"Ann, \"\"A\"\"\",\n");
    }

    #[test]
    fn pieces_make_the_same_file_as_the_whole() {
        let batch = batch();
        for form in [Form::Json, Form::Csv, Form::Arrow, Form::Parquet] {
            let file = |takes: bool| {
                let mut encoder = Encoder::new(form, &batch.schema()).unwrap();
                let mut bytes = Vec::new();
                for _ in 0..3 {
                    encoder.write(&batch).unwrap();
                    if takes {
                        bytes.extend(encoder.take());
                    }
                }
                bytes.extend(encoder.finish().unwrap());
                bytes
            };
            assert!(file(true) == file(false), "{form:?}");
        }
    }

    #[test]
    fn parquet_keeps_few_bytes_however_wide_the_rows_are() {
        let schema = Arc::new(Schema::new(vec![Field::new("text", DataType::Utf8, true)]));
        let mut encoder = Encoder::new(Form::Parquet, &schema).unwrap();
        // A mebibyte that cannot be made smaller.
        let noise: String = (0..65_536).map(|_| format!("{:016x}", rand::random::<u64>())).collect();
        let mut written = 0;
        for row in 0..96 {
            let texts = StringArray::from(vec![format!("{row}{noise}")]);
            encoder.write(&RecordBatch::try_new(schema.clone(), vec![Arc::new(texts)]).unwrap()).unwrap();
            written += noise.len();
            let kept = written.saturating_sub(encoder.ready());
            assert!(kept < 2 * ROW_GROUP_BYTES, "{kept} bytes after {row} rows");
        }
    }

    #[test]
    fn rows_that_are_too_large_are_refused() {
        let schema = Arc::new(Schema::new(vec![Field::new("number", DataType::Int64, true)]));
        let numbers = Int64Array::from(vec![0; BATCH_BYTES_MAX / 8 + 1]);
        let batch = RecordBatch::try_new(schema.clone(), vec![Arc::new(numbers)]).unwrap();
        for form in [Form::Json, Form::Csv, Form::Arrow, Form::Parquet] {
            let refused = Encoder::new(form, &schema).unwrap().write(&batch);
            assert!(matches!(refused, Err(ApiError::Unprocessable { .. })), "{form:?}");
        }
    }
}
