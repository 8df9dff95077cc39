use std::cell::Cell;
use std::fs::File;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::Once;

use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, FileReader, SerializedFileReader};
use parquet::record::Field;
use parquet::schema::types::Type;

use crate::column::{Column, Layout, Value};
use crate::intake::Intake;
use crate::{Error, Result, long};

/// The first bytes of a table.
pub(crate) const MAGIC: &[u8] = b"PAR1";

/// Reads a Parquet table in the long form.
pub(crate) fn read(path: &Path, intake: &mut Intake) -> Result<()> {
    let file = File::open(path).map_err(Error::file("read", path))?;
    stream(path, file, intake)
}

/// Reads a Parquet table from anything that gives its bytes.
///
/// The library trusts the sizes that a table's end speaks of, and panics where they make no sense.
pub(crate) fn stream<R: ChunkReader + 'static>(path: &Path, source: R, intake: &mut Intake) -> Result<()> {
    let panicked = |()| Err(Error::no_log(path, "is a damaged Parquet table: its sizes contradict each other"));
    quietly(AssertUnwindSafe(|| rows(path, source, intake))).unwrap_or_else(panicked)
}

fn rows<R: ChunkReader + 'static>(path: &Path, source: R, intake: &mut Intake) -> Result<()> {
    let fail = |error: ParquetError| {
        let problem = match error.to_string() {
            words if words.contains("Disabled feature") => {
                format!("uses a compression that is not read ({words}); write it with snappy, zstd, gzip or none")
            }
            words => format!("is a damaged Parquet table ({words})"),
        };
        Error::no_log(path, problem)
    };
    let reader = SerializedFileReader::new(source).map_err(fail)?;
    let schema = reader.metadata().file_metadata().schema();
    let fields = schema.get_fields();
    let names: Vec<&str> = fields.iter().map(|field| field.name()).collect();
    let layout = Layout::new(&names, intake.options.metric.as_deref());
    if !layout.missing().is_empty() {
        let problem = format!("has no column for {}, only {}", layout.missing().join(" and for "), names.join(", "));
        return Err(Error::no_log(path, problem));
    }
    if !layout.ignored.is_empty() {
        intake.remark(None, "columns-not-used", || layout.ignored.join(", "));
    }
    // Only the columns that say something are unpacked, in the table's order.
    let used: Vec<usize> =
        (0..fields.len()).filter(|&at| Column::ALL.iter().any(|&c| layout.at(c) == Some(at))).collect();
    let wanted = used.iter().map(|&at| fields[at].clone()).collect();
    let wanted = Type::group_type_builder(schema.name()).with_fields(wanted).build().map_err(fail)?;
    let place = Column::ALL.map(|column| used.iter().position(|&at| layout.at(column) == Some(at)));
    for (at, row) in reader.get_row_iter(Some(wanted)).map_err(fail)?.enumerate() {
        let row = row.map_err(fail)?.into_columns();
        let value =
            |column: Column| place[column as usize].and_then(|at| row.get(at)).map_or(Value::Missing, |f| value(&f.1));
        long::enter(intake, at as u64 + 1, value)?;
    }
    Ok(())
}

fn value(field: &Field) -> Value<'_> {
    match field {
        Field::Null => Value::Missing,
        Field::Bool(right) => Value::Number(f64::from(u8::from(*right))),
        Field::Byte(number) => Value::Number((*number).into()),
        Field::Short(number) => Value::Number((*number).into()),
        Field::Int(number) => Value::Number((*number).into()),
        Field::UByte(number) => Value::Number((*number).into()),
        Field::UShort(number) => Value::Number((*number).into()),
        Field::UInt(number) => Value::Number((*number).into()),
        Field::Float(number) => Value::Number((*number).into()),
        Field::Double(number) => Value::Number(*number),
        Field::Str(text) => Value::Text(text.into()),
        // Ids of 64 bits do not fit a float.
        Field::Long(number) => Value::Text(number.to_string().into()),
        Field::ULong(number) => Value::Text(number.to_string().into()),
        other => Value::Text(other.to_string().into()),
    }
}

/// Carries out `work`; an error if it panics, without the message that a panic prints.
fn quietly<T>(work: impl FnOnce() -> T + panic::UnwindSafe) -> std::result::Result<T, ()> {
    thread_local! { static QUIET: Cell<bool> = const { Cell::new(false) } }
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let loud = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                loud(info);
            }
        }));
    });
    let before = QUIET.replace(true);
    let done = panic::catch_unwind(work);
    QUIET.set(before);
    done.map_err(drop)
}
