use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use record::Drop;

use super::line::{Line, whole};
use crate::{Error, Result};

/// The first bytes of a table.
pub(super) const MAGIC: &[u8] = b"PAR1";

/// The rows of a table. Columns without a value are absent fields.
///
/// The reader trusts the sizes that a table's end speaks of, and panics where they make no sense.
pub(super) fn read(path: &Path, file: File) -> Result<(Vec<Line>, Vec<Drop>)> {
    let spoilt = |_| Err(broken(path, &ParquetError::General("its sizes contradict each other".into())));
    catch_unwind(AssertUnwindSafe(|| rows(path, file))).unwrap_or_else(spoilt)
}

fn rows(path: &Path, file: File) -> Result<(Vec<Line>, Vec<Drop>)> {
    let fail = |e: ParquetError| broken(path, &e);
    let reader = SerializedFileReader::new(file).map_err(fail)?;
    let (mut lines, mut drops) = (Vec::new(), Vec::new());
    for (at, row) in reader.get_row_iter(None).map_err(fail)?.enumerate() {
        let place = format!("row-{}", at + 1);
        match Line::new(place.clone(), row.map_err(fail)?.to_json_value()) {
            Ok(line) => lines.push(line),
            Err(refusal) => drops.push(refusal.record(path, &place, &place)),
        }
    }
    if lines.is_empty() {
        return Err(whole(path, "is a table without rows", "was its making cut off?"));
    }
    Ok((lines, drops))
}

fn broken(path: &Path, error: &ParquetError) -> Error {
    let words = error.to_string();
    if words.contains("Disabled feature") {
        let problem = format!("uses a compression that is not read ({words})");
        return whole(path, &problem, "write it again with snappy, zstd, gzip or none");
    }
    whole(path, &format!("is a damaged Parquet table ({words})"), "fetch or write it again")
}
