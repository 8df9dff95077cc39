use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use crate::column::{Column, Layout, Score, Value, is_date};
use crate::intake::{Entry, Intake};
use crate::long;
use crate::records::{Next, Record, Records};
use crate::table::Row;
use crate::{Error, Options, Result};

/// How a delimited text is laid out.
#[derive(Debug)]
pub(crate) struct Shape {
    separator: u8,
    /// One person a row and one item a column, not one score a row.
    pub wide: bool,
    header: Vec<String>,
    layout: Layout,
}

/// Tells the layout from the beginning of a text; why it is no table of scores, else.
pub(crate) fn shape(head: &[u8], options: &Options) -> std::result::Result<Shape, String> {
    let first = |separator: u8| match Records::new(head, separator).next() {
        Ok(Next::Record(record)) => record.iter().map(Into::into).collect(),
        _ => Vec::new(),
    };
    let headers = [b',', b'\t', b';', b'|'].map(|separator| (separator, first(separator)));
    let widest = headers.into_iter().reduce(|best, next| if next.1.len() > best.1.len() { next } else { best });
    let Some((separator, header)) = widest.filter(|(_, header): &(u8, Vec<String>)| header.len() > 1) else {
        return Err("is no table of scores and no log that is known".into());
    };
    let layout = Layout::new(&header, options.metric.as_deref());
    let missing = layout.missing();
    let mut shape = Shape { separator, wide: false, header, layout };
    if missing.is_empty() {
        return Ok(shape);
    }
    // Two of the three are no accident.
    if missing.len() > 1 && is_wide(head, &shape) {
        let mut names: Vec<&str> = shape.header.iter().map(String::as_str).collect();
        names.sort_unstable();
        if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(format!("names column {:?} twice; does it lack its header?", twice[0]));
        }
        shape.wide = true;
        return Ok(shape);
    }
    let names: Vec<_> = shape.header.iter().take(12).map(|name| name.trim()).collect();
    Err(format!("has no column for {}, only {}", missing.join(" and for "), names.join(", ")))
}

/// Whether the first record that is whole has numbers behind its person.
fn is_wide(head: &[u8], shape: &Shape) -> bool {
    let mut records = Records::new(head, shape.separator);
    let mut seen = 0;
    loop {
        match records.next() {
            Ok(Next::Record(record)) if record.len() == shape.header.len() && record.line > 1 => {
                let mut cells = wide_items(shape).filter_map(|at| record.get(at));
                let mut numbers = 0;
                let all = cells.all(|cell| {
                    let score = Score::from(&Value::Text(cell.into()));
                    numbers += usize::from(matches!(score, Score::Number(_)));
                    score != Score::Wrong
                });
                return all && numbers > 0;
            }
            Ok(Next::End) | Err(_) => return false,
            Ok(_) if seen > 10 => return false,
            Ok(_) => seen += 1,
        }
    }
}

/// Where the person stands in the wide form.
fn wide_person(shape: &Shape) -> usize {
    shape.layout.at(Column::Person).unwrap_or(0)
}

/// What the wide form may tell of a person.
const OF_PERSON: [Column; 3] = [Column::Base, Column::Group, Column::Date];

/// Where the items stand in the wide form.
fn wide_items(shape: &Shape) -> impl Iterator<Item = usize> {
    let person = wide_person(shape);
    let other = OF_PERSON.map(|column| shape.layout.at(column));
    (0..shape.header.len()).filter(move |&at| at != person && !other.contains(&Some(at)))
}

/// Reads a file of delimited text, long or wide, row by row.
pub(crate) fn read(path: &Path, intake: &mut Intake) -> Result<()> {
    let file = File::open(path).map_err(Error::file("read", path))?;
    stream(path, BufReader::with_capacity(1 << 18, file), intake)
}

/// Reads delimited text from a stream.
pub(crate) fn stream(path: &Path, mut source: impl BufRead, intake: &mut Intake) -> Result<()> {
    let fail = Error::file("read", path);
    let mut head = Vec::new();
    source.by_ref().take(1 << 20).read_to_end(&mut head).map_err(&fail)?;
    let shape = shape(&head, intake.options).map_err(|problem| Error::no_log(path, problem))?;
    let mut records = Records::new(head.as_slice().chain(source), shape.separator);
    // The header.
    records.next().map_err(&fail)?;
    let ignored = &shape.layout.ignored;
    if !shape.wide && !ignored.is_empty() {
        intake.remark(Some(1), "columns-not-used", || ignored.join(", "));
    }
    let mut items = Vec::new();
    if shape.wide {
        for at in wide_items(&shape) {
            items.push((at, intake.item(shape.header[at].trim(), false)?.0));
        }
    }
    loop {
        match records.next().map_err(&fail)? {
            Next::End => return Ok(()),
            Next::Broken(line, problem) => intake.refuse(Some(line), "broken-line", || problem.into())?,
            Next::Record(record) if record.len() != shape.header.len() => {
                let problem = || format!("has {} fields, the header has {}", record.len(), shape.header.len());
                intake.refuse(Some(record.line), "columns", problem)?;
            }
            Next::Record(record) if shape.wide => wide(&record, &shape, &items, intake)?,
            Next::Record(record) => {
                let layout = &shape.layout;
                let cell = |column: Column| layout.at(column).and_then(|at| record.get(at));
                let value = |column| cell(column).map_or(Value::Missing, |text| Value::Text(text.into()));
                long::enter(intake, record.line, value)?;
            }
        }
    }
}

fn wide(record: &Record, shape: &Shape, items: &[(usize, u32)], intake: &mut Intake) -> Result<()> {
    let line = Some(record.line);
    let Some(name) = record.get(wide_person(shape)).filter(|name| !name.is_empty()) else {
        return intake.refuse(line, "no-person", || "names no person".into());
    };
    let person = intake.person(name)?;
    let mut said = OF_PERSON.map(|column| shape.layout.at(column).and_then(|at| record.get(at)).unwrap_or_default());
    let date = said[2];
    if !date.is_empty() && !is_date(date) {
        intake.remark(line, "bad-date", || format!("{date:?} is no YYYY-MM-DD, and is left out"));
        said[2] = "";
    }
    let known = intake.marks.person_mut(person);
    for (slot, said) in [&mut known.base, &mut known.group, &mut known.date].into_iter().zip(said) {
        if slot.is_none() && !said.is_empty() {
            *slot = Some(said.into());
        }
    }
    for &(at, item) in items {
        let cell = record.get(at).unwrap_or_default();
        match Score::from(&Value::Text(cell.into())) {
            Score::Missing => {}
            Score::Number(score) => {
                let (grader, attempt, max) = (Row::NOBODY, 0, None);
                intake.score(Entry { person, item, grader, attempt, score, max, line })?;
            }
            Score::Wrong => {
                let problem = || format!("{cell:?} in column {:?} is no score", shape.header[at]);
                intake.refuse(line, "not-a-score", problem)?;
            }
        }
    }
    Ok(())
}
