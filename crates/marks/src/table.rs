use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Who was examined: a model with its settings.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Person {
    /// Unique in the table.
    pub name: String,
    /// The model that it is a variant of; persons of one base are not independent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// A group to compare, e.g. for differential item functioning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// When its weights were public, as YYYY-MM-DD.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<String>,
}

/// What was asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// Unique in the table. Items of several tasks are named `TASK/ID`.
    pub id: String,
    /// The task or subject that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Its type, e.g. `choice`, `blank`, `open`, `essay`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// What it shares with other items (a passage, a fact): the cluster of standard errors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// The question, if the log tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Difficulty that somebody stated, on that person's scale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub difficulty: Option<f64>,
    /// Score of a blind guess, as a share of `max`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chance: Option<f64>,
    /// The most that it gives.
    pub max: f64,
}

impl Item {
    /// An item that gives 0 to `max`, of which nothing else is known.
    pub fn new(id: impl Into<String>, max: f64) -> Self {
        let id = id.into();
        Self { id, subject: None, kind: None, cluster: None, text: None, difficulty: None, chance: None, max }
    }
}

/// One score: 16 bytes, so that 10⁸ take 1.6 GB.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    /// Place in [`Marks::persons`].
    pub person: u32,
    /// Place in [`Marks::items`].
    pub item: u32,
    /// Place in [`Marks::graders`]; [`Row::NOBODY`] where no grader is named.
    pub grader: u16,
    /// Number of the attempt (epoch, repetition), from 0.
    pub attempt: u16,
    /// 0 to the item's most.
    pub score: f32,
}

impl Row {
    /// The grader of a score that names none.
    pub const NOBODY: u16 = u16::MAX;
}

/// A person's scores on an item, over graders and attempts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cell {
    /// Place in [`Marks::persons`].
    pub person: u32,
    /// Place in [`Marks::items`].
    pub item: u32,
    /// Mean score.
    pub score: f64,
    /// How many scores it is the mean of.
    pub count: u32,
}

/// Scores of persons on items, with gaps wherever a person did not meet an item.
#[derive(Debug, Clone, Default)]
pub struct Marks {
    persons: Vec<Person>,
    items: Vec<Item>,
    graders: Vec<String>,
    rows: Vec<Row>,
    person_by_name: HashMap<String, u32>,
    item_by_id: HashMap<String, u32>,
    grader_by_name: HashMap<String, u16>,
}

impl Marks {
    /// Persons, in the order of their first row.
    pub fn persons(&self) -> &[Person] {
        &self.persons
    }

    /// Items, in the order of their first row.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// Graders, in the order of their first row.
    pub fn graders(&self) -> &[String] {
        &self.graders
    }

    /// All scores, in the order in which they came.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Place of a person by name, entered if new.
    pub fn person(&mut self, name: &str) -> Result<u32> {
        if let Some(&at) = self.person_by_name.get(name) {
            return Ok(at);
        }
        let at = place(self.persons.len(), u32::MAX as usize, "persons")? as u32;
        self.persons.push(Person { name: name.into(), ..Person::default() });
        self.person_by_name.insert(name.into(), at);
        Ok(at)
    }

    /// Place of an item by id, entered by `new` if it is not there.
    pub fn item(&mut self, id: &str, new: impl FnOnce() -> Item) -> Result<u32> {
        if let Some(&at) = self.item_by_id.get(id) {
            return Ok(at);
        }
        let at = place(self.items.len(), u32::MAX as usize, "items")? as u32;
        self.items.push(Item { id: id.into(), ..new() });
        self.item_by_id.insert(id.into(), at);
        Ok(at)
    }

    /// Place of a grader by name, entered if new.
    pub fn grader(&mut self, name: &str) -> Result<u16> {
        if let Some(&at) = self.grader_by_name.get(name) {
            return Ok(at);
        }
        let at = place(self.graders.len(), Row::NOBODY as usize, "graders")? as u16;
        self.graders.push(name.into());
        self.grader_by_name.insert(name.into(), at);
        Ok(at)
    }

    /// What is known of a person, to be added to.
    pub fn person_mut(&mut self, at: u32) -> &mut Person {
        &mut self.persons[at as usize]
    }

    /// What is known of an item, to be added to.
    pub fn item_mut(&mut self, at: u32) -> &mut Item {
        &mut self.items[at as usize]
    }

    /// Enters a score; refuses one that is not finite or lies outside 0..=max of its item.
    pub fn push(&mut self, row: Row) -> Result<()> {
        let item = &self.items[row.item as usize];
        let score = f64::from(row.score);
        // A score such as 0.1 is a little more than itself in 32 bits.
        if !(score >= 0.0 && score <= item.max * (1.0 + 1e-6)) {
            let person = self.persons[row.person as usize].name.clone();
            return Err(Error::Score { person, item: item.id.clone(), score, max: item.max });
        }
        place(self.rows.len(), u32::MAX as usize, "scores")?;
        self.rows.push(row);
        Ok(())
    }

    /// Takes out the persons and items without a score, and gives their names: first persons, then items.
    pub(crate) fn take_unscored(&mut self) -> [Vec<String>; 2] {
        let (mut persons, mut items) = (vec![false; self.persons.len()], vec![false; self.items.len()]);
        for row in &self.rows {
            persons[row.person as usize] = true;
            items[row.item as usize] = true;
        }
        if persons.iter().chain(&items).all(|scored| *scored) {
            return [Vec::new(), Vec::new()];
        }
        let (mut person_at, mut item_at) = (Vec::new(), Vec::new());
        let mut unscored = [Vec::new(), Vec::new()];
        let mut kept = 0;
        for (person, scored) in std::mem::take(&mut self.persons).into_iter().zip(persons) {
            person_at.push(kept);
            if scored {
                kept += 1;
                self.persons.push(person);
            } else {
                self.person_by_name.remove(&person.name);
                unscored[0].push(person.name);
            }
        }
        kept = 0;
        for (item, scored) in std::mem::take(&mut self.items).into_iter().zip(items) {
            item_at.push(kept);
            if scored {
                kept += 1;
                self.items.push(item);
            } else {
                self.item_by_id.remove(&item.id);
                unscored[1].push(item.id);
            }
        }
        self.person_by_name.values_mut().for_each(|at| *at = person_at[*at as usize]);
        self.item_by_id.values_mut().for_each(|at| *at = item_at[*at as usize]);
        for row in &mut self.rows {
            (row.person, row.item) = (person_at[row.person as usize], item_at[row.item as usize]);
        }
        unscored
    }

    pub(crate) fn rows_mut(&mut self) -> &mut Vec<Row> {
        &mut self.rows
    }

    /// Places of the rows by person, item, grader and attempt; equal ones in the order in which they came.
    ///
    /// Logs come person by person, and mostly in one order of items. So the rows are dealt out to their
    /// persons, and each person's few are sorted: 4 bytes a row, and near each other in memory.
    pub(crate) fn order(&self) -> Vec<u32> {
        let mut begins = vec![0_u32; self.persons.len() + 1];
        for row in &self.rows {
            begins[row.person as usize + 1] += 1;
        }
        for person in 0..self.persons.len() {
            begins[person + 1] += begins[person];
        }
        let mut order = vec![0_u32; self.rows.len()];
        let mut next = begins.clone();
        for (at, row) in self.rows.iter().enumerate() {
            let place = &mut next[row.person as usize];
            order[*place as usize] = at as u32;
            *place += 1;
        }
        for bounds in begins.windows(2) {
            order[bounds[0] as usize..bounds[1] as usize].sort_unstable_by_key(|&at| {
                let Row { item, grader, attempt, .. } = self.rows[at as usize];
                (item, grader, attempt, at)
            });
        }
        order
    }

    /// Means over graders and attempts, by person, then item.
    pub fn cells(&self) -> Vec<Cell> {
        let mut cells: Vec<Cell> = Vec::new();
        for at in self.order() {
            let Row { person, item, score, .. } = self.rows[at as usize];
            match cells.last_mut() {
                Some(last) if last.person == person && last.item == item => {
                    last.count += 1;
                    last.score += f64::from(score);
                }
                _ => cells.push(Cell { person, item, score: f64::from(score), count: 1 }),
            }
        }
        for cell in &mut cells {
            cell.score /= f64::from(cell.count);
        }
        cells
    }

    /// The subjects, each with the places of its items; items without one stand under `""`.
    pub fn subjects(&self) -> BTreeMap<&str, Vec<u32>> {
        let mut subjects: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
        for (at, item) in self.items.iter().enumerate() {
            subjects.entry(item.subject.as_deref().unwrap_or_default()).or_default().push(at as u32);
        }
        subjects
    }
}

fn place(len: usize, most: usize, what: &'static str) -> Result<usize> {
    if len < most { Ok(len) } else { Err(Error::TooMany { what, most }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Marks {
        let mut marks = Marks::default();
        let (ann, bob) = (marks.person("ann").expect("room"), marks.person("bob").expect("room"));
        let sum = marks.item("sum", || Item::new("sum", 2.0)).expect("room");
        let word =
            marks.item("word", || Item { subject: Some("english".into()), ..Item::new("word", 1.0) }).expect("room");
        let (one, two) = (marks.grader("one").expect("room"), marks.grader("two").expect("room"));
        for (person, item, grader, score) in
            [(bob, sum, one, 1.0), (ann, word, Row::NOBODY, 1.0), (bob, sum, two, 2.0), (ann, sum, one, 0.0)]
        {
            marks.push(Row { person, item, grader, attempt: 0, score }).expect("fits");
        }
        marks
    }

    #[test]
    fn cells_are_means_over_graders() {
        let marks = table();
        let cells: Vec<_> = marks.cells().iter().map(|c| (c.person, c.item, c.score, c.count)).collect();
        assert_eq!(cells, [(0, 0, 0.0, 1), (0, 1, 1.0, 1), (1, 0, 1.5, 2)]);
        assert_eq!(marks.subjects().into_iter().collect::<Vec<_>>(), [("", vec![0]), ("english", vec![1])]);
    }

    #[test]
    fn names_are_entered_once_and_impossible_scores_are_refused() {
        let mut marks = table();
        assert_eq!((marks.person("ann").expect("room"), marks.persons().len()), (0, 2));
        for score in [-0.5, 2.5, f32::NAN, f32::INFINITY] {
            let row = Row { person: 1, item: 0, grader: Row::NOBODY, attempt: 0, score };
            let error = marks.push(row).expect_err("impossible").to_string();
            assert!(error.contains("\"bob\"") && error.contains("\"sum\""), "{error}");
        }
        assert_eq!(marks.rows().len(), 4);
    }

    #[test]
    fn persons_and_items_without_a_score_are_taken_out() {
        let mut marks = Marks::default();
        for name in ["away", "ann", "ill", "bob"] {
            marks.person(name).expect("room");
            marks.item(&format!("of {name}"), || Item::new("", 1.0)).expect("room");
        }
        for at in [1, 3] {
            marks.push(Row { person: at, item: at, grader: Row::NOBODY, attempt: 0, score: 1.0 }).expect("fits");
        }
        assert_eq!(marks.take_unscored(), [["away", "ill"].map(String::from), ["of away", "of ill"].map(String::from)]);
        assert_eq!((marks.person("bob").expect("room"), marks.person("away").expect("room")), (1, 2));
        assert_eq!(marks.item("of ann", || Item::new("", 1.0)).expect("room"), 0);
        assert_eq!(marks.rows().iter().map(|row| (row.person, row.item)).collect::<Vec<_>>(), [(0, 0), (1, 1)]);
        assert_eq!(marks.take_unscored()[0], ["away"]);
        assert_eq!(marks.take_unscored(), [Vec::<String>::new(), Vec::new()]);
    }
}
