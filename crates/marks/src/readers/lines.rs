use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use serde_json::{Map, Value as Json};

use crate::column::{Column, Layout, Value};
use crate::intake::Intake;
use crate::records::Lines;
use crate::{Error, Result, json, long};

/// Reads JSON lines of one score each, with the columns of the long form as fields.
pub(crate) fn read(path: &Path, intake: &mut Intake) -> Result<()> {
    let file = File::open(path).map_err(Error::file("read", path))?;
    stream(path, BufReader::new(file), intake)
}

/// Reads JSON lines from a stream.
pub(crate) fn stream(path: &Path, source: impl BufRead, intake: &mut Intake) -> Result<()> {
    let mut lines = Lines::new(source);
    let mut buffer = Vec::new();
    // Lines may differ in their fields; most do not.
    let mut layouts: HashMap<Vec<String>, Layout> = HashMap::new();
    loop {
        buffer.clear();
        let Some(line) = lines.next(&mut buffer).map_err(Error::file("read", path))? else { return Ok(()) };
        if buffer.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let object: Map<String, Json> = match json::parse(&buffer) {
            Ok(object) => object,
            Err(error) => {
                intake.refuse(Some(line), "not-json", || error.to_string())?;
                continue;
            }
        };
        let keys: Vec<String> = object.keys().cloned().collect();
        let metric = intake.options.metric.as_deref();
        if layouts.len() > 1000 {
            layouts.clear();
        }
        if !layouts.contains_key(&keys) {
            let layout = Layout::new(&keys, metric);
            if !layout.ignored.is_empty() {
                intake.remark(Some(line), "columns-not-used", || layout.ignored.join(", "));
            }
            layouts.insert(keys.clone(), layout);
        }
        let layout = &layouts[&keys];
        let fields: Vec<&Json> = object.values().collect();
        let value = |column: Column| match layout.at(column).map(|at| fields[at]) {
            None | Some(Json::Null) => Value::Missing,
            Some(Json::String(text)) => Value::Text(text.into()),
            Some(field) => match (column, json::number(field)) {
                (Column::Score | Column::Max | Column::Attempt, Some(number)) => Value::Number(number),
                _ => Value::Text(field.to_string().into()),
            },
        };
        long::enter(intake, line, value)?;
    }
}
