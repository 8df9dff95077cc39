use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use crate::column::Column;
use crate::table::{Item, Person, Row};
use crate::{Error, Marks, Result};

impl Marks {
    /// Writes the table in the long form: a header, then one score a line, in order. Columns that say
    /// nothing of any row are left out, and so are persons and items without a score.
    pub fn write_csv(&self, path: &Path) -> Result<()> {
        let write = || -> io::Result<()> {
            let mut file = BufWriter::new(File::create(path)?);
            self.csv(&mut file)?;
            file.flush()
        };
        write().map_err(Error::file("write", path))
    }

    fn csv(&self, out: &mut impl Write) -> io::Result<()> {
        let columns: Vec<Column> = Column::ALL.into_iter().filter(|&column| self.says(column)).collect();
        let header: Vec<&str> = columns.iter().map(|column| column.names()[0]).collect();
        writeln!(out, "{}", header.join(","))?;
        let mut field = String::new();
        for row in self.rows() {
            let (person, item) = (&self.persons()[row.person as usize], &self.items()[row.item as usize]);
            for (at, &column) in columns.iter().enumerate() {
                if at > 0 {
                    out.write_all(b",")?;
                }
                field.clear();
                self.say(&mut field, column, row, person, item);
                if field.contains([',', '"', '\n', '\r']) || field.starts_with('\u{feff}') {
                    write!(out, "\"{}\"", field.replace('"', "\"\""))?;
                } else {
                    out.write_all(field.as_bytes())?;
                }
            }
            out.write_all(b"\n")?;
        }
        Ok(())
    }

    /// Whether a column tells something of some row.
    fn says(&self, column: Column) -> bool {
        let (persons, items) = (self.persons(), self.items());
        match column {
            Column::Person | Column::Item | Column::Score | Column::Max => true,
            Column::Grader => self.rows().iter().any(|row| row.grader != Row::NOBODY),
            Column::Attempt => self.rows().iter().any(|row| row.attempt > 0),
            Column::Subject => items.iter().any(|item| item.subject.is_some()),
            Column::Kind => items.iter().any(|item| item.kind.is_some()),
            Column::Cluster => items.iter().any(|item| item.cluster.is_some()),
            Column::Difficulty => items.iter().any(|item| item.difficulty.is_some()),
            Column::Chance => items.iter().any(|item| item.chance.is_some()),
            Column::Text => items.iter().any(|item| item.text.is_some()),
            Column::Base => persons.iter().any(|person| person.base.is_some()),
            Column::Group => persons.iter().any(|person| person.group.is_some()),
            Column::Date => persons.iter().any(|person| person.date.is_some()),
        }
    }

    /// Adds what a column tells of a row.
    fn say(&self, field: &mut String, column: Column, row: &Row, person: &Person, item: &Item) {
        let number = |number: f64| number.to_string();
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        field.push_str(&match column {
            Column::Person => return field.push_str(&person.name),
            Column::Item => return field.push_str(&item.id),
            Column::Score => row.score.to_string(),
            Column::Max => number(item.max),
            Column::Grader => self.graders().get(row.grader as usize).cloned().unwrap_or_default(),
            Column::Attempt => row.attempt.to_string(),
            Column::Subject => text(&item.subject),
            Column::Kind => text(&item.kind),
            Column::Cluster => text(&item.cluster),
            Column::Difficulty => item.difficulty.map(number).unwrap_or_default(),
            Column::Chance => item.chance.map(number).unwrap_or_default(),
            Column::Text => text(&item.text),
            Column::Base => text(&person.base),
            Column::Group => text(&person.group),
            Column::Date => text(&person.date),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Options, read};

    /// SplitMix64.
    struct Chance(u64);

    impl Chance {
        fn next(&mut self, below: u64) -> u64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            (z ^ (z >> 31)) % below
        }

        /// A name that no other call gives, with everything in it that a table may stumble over.
        fn name(&mut self, unique: usize) -> String {
            const PARTS: [&str; 12] = ["a", ",", "\"", "\n", "\r\n", "ä", "題", " ", ";", "\t", "\u{feff}", "\r"];
            let parts: String = (0..self.next(5)).map(|_| PARTS[self.next(12) as usize]).collect();
            format!("{parts}{unique}{}", PARTS[self.next(12) as usize])
        }

        fn maybe(&mut self) -> Option<String> {
            (self.next(2) == 0).then(|| self.name(0))
        }
    }

    fn table(seed: u64) -> Marks {
        let mut chance = Chance(seed);
        let mut marks = Marks::default();
        let (persons, items) = (1 + chance.next(5) as usize, 1 + chance.next(7) as usize);
        for at in 0..persons {
            let name = chance.name(at);
            let at = marks.person(&name).expect("room");
            let person = marks.person_mut(at);
            (person.base, person.group) = (chance.maybe(), chance.maybe());
            person.date = (chance.next(2) == 0).then(|| format!("2026-01-{:02}", 1 + chance.next(28)));
        }
        for at in 0..items {
            let (id, max) = (chance.name(at), [1.0, 2.0, 0.1, 12.5][chance.next(4) as usize]);
            let item = Item {
                subject: chance.maybe(),
                kind: chance.maybe(),
                cluster: chance.maybe(),
                text: chance.maybe(),
                difficulty: (chance.next(2) == 0).then(|| chance.next(1000) as f64 / 7.0 - 50.0),
                chance: (chance.next(2) == 0).then(|| 1.0 / (2 + chance.next(4)) as f64),
                ..Item::new(id.clone(), max)
            };
            marks.item(&id, || item).expect("room");
        }
        for person in 0..persons as u32 {
            for item in 0..items as u32 {
                for attempt in 0..1 + chance.next(2) as u16 {
                    let max = marks.items()[item as usize].max;
                    let score = (max * chance.next(1001) as f64 / 1000.0) as f32;
                    let grader = match chance.next(3) {
                        0 => Row::NOBODY,
                        n => marks.grader(["one", "two, or \"three\""][n as usize - 1]).expect("room"),
                    };
                    marks.push(Row { person, item, grader, attempt, score }).expect("fits");
                }
            }
        }
        marks
    }

    /// Graders as names: they are numbered in the order of their first row.
    fn rows(marks: &Marks) -> Vec<(u32, u32, Option<&String>, u16, f32)> {
        let row = |r: &Row| (r.person, r.item, marks.graders().get(r.grader as usize), r.attempt, r.score);
        marks.rows().iter().map(row).collect()
    }

    #[test]
    fn a_table_comes_back_as_it_was_written() {
        let folder = tempfile::tempdir().expect("tempdir");
        let path = folder.path().join("marks.csv");
        for seed in 0..300 {
            let marks = table(seed);
            marks.write_csv(&path).expect("written");
            let back = read(std::slice::from_ref(&path), &Options { strict: true, ..Options::default() });
            let back =
                back.unwrap_or_else(|e| panic!("seed {seed}: {e}\n{}", std::fs::read_to_string(&path).expect("text")));
            assert_eq!(back.notes, [], "seed {seed}");
            assert_eq!(back.marks.persons(), marks.persons(), "seed {seed}");
            assert_eq!(back.marks.items(), marks.items(), "seed {seed}");
            assert_eq!(rows(&back.marks), rows(&marks), "seed {seed}");
        }
    }
}
