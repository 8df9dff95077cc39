use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::note::Notes;
use crate::{Error, Format, Item, Marks, Options, Read, Result, Row, Source, duplicates};

/// How far the most that an item gives is known.
#[derive(Debug, Clone, Copy, Default)]
struct Limit {
    /// A log states it. Otherwise it is 1, or the highest score that was seen.
    stated: bool,
    /// The items of its subject are all marked alike, so the highest score of the subject counts.
    alike: bool,
    /// A score was entered.
    scored: bool,
}

/// A score that a log tells.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    pub person: u32,
    pub item: u32,
    pub grader: u16,
    pub attempt: u16,
    pub score: f64,
    /// The most that the item gives, where the log states it.
    pub max: Option<f64>,
    /// Line or row.
    pub line: Option<u64>,
}

/// Where readers bring what they find. It keeps the table right and counts what is set aside.
#[derive(Debug)]
pub(crate) struct Intake<'a> {
    pub options: &'a Options,
    pub marks: Marks,
    notes: Notes,
    path: PathBuf,
    sources: Vec<Source>,
    limits: Vec<Limit>,
    /// What tells apart questions of one id, by item.
    prints: HashMap<u32, u64>,
    last: (u32, u32),
}

impl<'a> Intake<'a> {
    pub fn new(options: &'a Options) -> Self {
        Self {
            options,
            marks: Marks::default(),
            notes: Notes::default(),
            path: PathBuf::new(),
            sources: Vec::new(),
            limits: Vec::new(),
            prints: HashMap::new(),
            last: (0, 0),
        }
    }

    /// What follows comes from this log.
    pub fn begin(&mut self, path: &Path, format: Format) {
        self.path = path.into();
        self.sources.push(Source { path: path.into(), format, rows: self.marks.rows().len() });
    }

    /// The log is read.
    pub fn end(&mut self) {
        if let Some(source) = self.sources.last_mut() {
            source.rows = self.marks.rows().len() - source.rows;
        }
    }

    /// Something broken, which is set aside; an error where the reading is strict.
    pub fn refuse(&mut self, line: Option<u64>, reason: &'static str, problem: impl FnOnce() -> String) -> Result<()> {
        if self.options.strict {
            return Err(Error::Broken { path: self.path.clone(), line, reason, problem: problem() });
        }
        self.notes.add(&self.path, line, reason, problem);
        Ok(())
    }

    /// Something that a reader of the result should know.
    pub fn remark(&mut self, line: Option<u64>, reason: &'static str, detail: impl FnOnce() -> String) {
        self.notes.add(&self.path, line, reason, detail);
    }

    /// What was taken of several things that a log offers.
    pub fn choice(&mut self, line: Option<u64>, reason: &'static str, detail: String) {
        self.notes.add_choice(&self.path, line, reason, detail);
    }

    /// Like [`remark`](Self::remark), of another file than the one that is read.
    pub fn remark_at(&mut self, path: &Path, reason: &'static str, detail: impl FnOnce() -> String) {
        self.notes.add(path, None, reason, detail);
    }

    pub fn person(&mut self, name: &str) -> Result<u32> {
        // Most logs come person by person.
        if self.marks.persons().get(self.last.0 as usize).is_none_or(|person| person.name != name) {
            self.last.0 = self.marks.person(name)?;
        }
        Ok(self.last.0)
    }

    /// The place of an item, and whether it is new. In one task all items give the same, if `alike`.
    pub fn item(&mut self, id: &str, alike: bool) -> Result<(u32, bool)> {
        // Most logs ask in one order.
        for near in [self.last.1, self.last.1 + 1] {
            if self.marks.items().get(near as usize).is_some_and(|item| item.id == id) {
                self.last.1 = near;
                return Ok((near, false));
            }
        }
        let max = self.options.max;
        let at = self.marks.item(id, || Item::new(id, max.unwrap_or(1.0)))?;
        let new = at as usize == self.limits.len();
        if new {
            self.limits.push(Limit { alike, ..Limit::default() });
        }
        self.last.1 = at;
        Ok((at, new))
    }

    /// The place of a task's question, and whether it is new. If `print` says that another question had
    /// that id, it is an item of its own, `TASK/ID@PRINT`.
    pub fn question(&mut self, task: &str, id: &str, print: Option<u64>, line: Option<u64>) -> Result<(u32, bool)> {
        let mut name = format!("{task}/{id}");
        let (mut at, mut new) = self.item(&name, true)?;
        if let Some(print) = print {
            let first = *self.prints.entry(at).or_insert(print);
            if first != print {
                self.refuse(line, "other-question", || {
                    format!("item {name} is another question here than in an earlier log; it is kept as another item")
                })?;
                name = format!("{name}@{:08x}", print >> 32);
                (at, new) = self.item(&name, true)?;
            }
        }
        if new {
            self.marks.item_mut(at).subject = Some(task.into());
        }
        Ok((at, new))
    }

    /// Enters a score, or sets it aside where it cannot be one.
    pub fn score(&mut self, entry: Entry) -> Result<()> {
        let Entry { person, item, grader, attempt, score, max, line } = entry;
        let at = item as usize;
        let (known, limit) = (self.marks.items()[at].max, self.limits[at]);
        if let Some(max) = max {
            if !(max.is_finite() && max > 0.0) {
                return self.refuse(line, "bad-max", || format!("an item cannot give at most {max}"));
            }
            if max != known && (limit.stated || limit.scored && max < known) {
                let id = self.marks.items()[at].id.clone();
                let problem = || format!("item {id:?} gives at most {max} here and {known} elsewhere");
                return self.refuse(line, "other-max", problem);
            }
            self.marks.item_mut(item).max = max;
            self.limits[at].stated = true;
        }
        let known = max.unwrap_or(known);
        if !score.is_finite() {
            return self.refuse(line, "not-finite", || format!("{score} is no score"));
        }
        if score < 0.0 {
            return self.refuse(line, "negative", || format!("{score} is less than 0"));
        }
        if score > known * (1.0 + 1e-6) {
            if max.is_some() || limit.stated || self.options.max.is_some() {
                return self.refuse(line, "over-max", || format!("{score} is more than the item gives ({known})"));
            }
            self.marks.item_mut(item).max = score;
        }
        self.limits[at].scored = true;
        self.marks.push(Row { person, item, grader, attempt, score: score as f32 })
    }

    /// The table, with duplicates settled, and inferred what an item gives where no log states it.
    /// `first` is the first path that was given.
    pub fn finish(mut self, first: &Path) -> Result<Read> {
        if self.marks.rows().is_empty() {
            let because = self.notes.first().map(ToString::to_string);
            return Err(Error::Empty { path: first.into(), because });
        }
        duplicates::settle(&mut self.marks, &mut self.notes, &self.sources, self.options.duplicates)?;
        self.infer_limits(first);
        let [persons, items] = self.marks.take_unscored();
        for (reason, names) in [("person-without-score", persons), ("item-without-score", items)] {
            for name in names {
                self.notes.add(first, None, reason, || format!("{name:?} has no score and is left out"));
            }
        }
        Ok(Read { marks: self.marks, notes: self.notes.into_inner(), sources: self.sources })
    }

    fn infer_limits(&mut self, first: &Path) {
        let mut most: HashMap<String, f64> = HashMap::new();
        for (item, limit) in self.marks.items().iter().zip(&self.limits) {
            if let Some(subject) = item.subject.as_ref().filter(|_| limit.alike) {
                let most = most.entry(subject.clone()).or_insert(item.max);
                *most = most.max(item.max);
            }
        }
        for (at, limit) in self.limits.iter().enumerate().filter(|(_, limit)| !limit.stated) {
            let item = self.marks.item_mut(at as u32);
            if let Some(most) = item.subject.as_ref().and_then(|subject| most.get(subject)).filter(|_| limit.alike) {
                item.max = *most;
            }
            if limit.scored && item.max > 1.0 && self.options.max.is_none() {
                let detail =
                    || format!("no log says what item {:?} gives; the highest score counts: {}", item.id, item.max);
                self.notes.add(first, None, "inferred-max", detail);
            }
        }
    }
}
