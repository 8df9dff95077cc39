use std::collections::BTreeMap;

use marks::Marks;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::difficulty::Difficulty;
use crate::{Error, Result};

/// Score rates of persons on items, in [0, 1], with gaps.
#[derive(Clone)]
pub(super) struct Table {
    /// Each person's place in the marks.
    pub persons: Vec<u32>,
    /// Each item's place in the marks.
    pub items: Vec<u32>,
    /// (item, rate) of each person, items rising.
    pub rows: Vec<Vec<(usize, f64)>>,
    /// Whole steps of each item's marks.
    pub steps: Vec<u32>,
    /// Subject × model × type.
    pub groups: Vec<Group>,
}

/// One person's items of one subject and type.
#[derive(Clone)]
pub(super) struct Group {
    pub person: usize,
    pub subject: String,
    pub kind: String,
    /// Places in the person's row.
    pub cells: Vec<usize>,
}

impl Table {
    pub(super) fn new(marks: &Marks, difficulty: &Difficulty) -> Result<Self> {
        let mut met = vec![0_usize; marks.items().len()];
        let cells = marks.cells();
        cells.iter().for_each(|cell| met[cell.item as usize] += 1);
        // A single person's item says nothing about anybody else's.
        let items: Vec<u32> =
            (0..met.len() as u32).filter(|&item| met[item as usize] > 1 && difficulty.has(item)).collect();
        let (mut persons, mut rows): (Vec<u32>, Vec<Vec<(usize, f64)>>) = (Vec::new(), Vec::new());
        for cell in cells {
            let Ok(item) = items.binary_search(&cell.item) else { continue };
            if persons.last() != Some(&cell.person) {
                persons.push(cell.person);
                rows.push(Vec::new());
            }
            let rate = cell.score / marks.items()[cell.item as usize].max;
            rows[persons.len() - 1].push((item, rate));
        }
        if persons.len() < 2 || items.len() < 8 {
            let problem = format!(
                "{} persons and {} items whose difficulty is known and that two persons met are too few: at least 2 and 8 \
                 are needed",
                persons.len(),
                items.len()
            );
            return Err(Error::Difficulty { problem });
        }
        let mut steps = vec![1; items.len()];
        for n in [2, 3, 4, 5, 6, 8, 10] {
            // The fewest steps that hold every rate; tenths where none does.
            let mut holds = vec![true; items.len()];
            let mut off =
                |item: usize, rate: f64, by: f64| holds[item] &= ((rate * by).round() - rate * by).abs() < 1e-3;
            rows.iter().flatten().for_each(|&(item, rate)| off(item, rate, f64::from(steps[item])));
            steps.iter_mut().zip(&holds).filter(|(_, holds)| !**holds).for_each(|(steps, _)| *steps = n);
        }
        let mut groups = Vec::new();
        for (person, row) in rows.iter().enumerate() {
            let mut own: BTreeMap<(&str, &str), Vec<usize>> = BTreeMap::new();
            for (at, (item, _)) in row.iter().enumerate() {
                let item = &marks.items()[items[*item] as usize];
                let key = (item.subject.as_deref().unwrap_or("all"), item.kind.as_deref().unwrap_or("all"));
                own.entry(key).or_default().push(at);
            }
            let group = |((subject, kind), cells): ((&str, &str), Vec<usize>)| Group {
                person,
                subject: subject.into(),
                kind: kind.into(),
                cells,
            };
            groups.extend(own.into_iter().map(group));
        }
        Ok(Self { persons, items, rows, steps, groups })
    }

    /// Responses.
    pub(super) fn cells(&self) -> usize {
        self.rows.iter().map(Vec::len).sum()
    }

    /// Sum of rates and persons, item by item.
    pub(super) fn totals(&self) -> Vec<(f64, usize)> {
        let mut totals = vec![(0.0, 0); self.items.len()];
        for &(item, rate) in self.rows.iter().flatten() {
            totals[item].0 += rate;
            totals[item].1 += 1;
        }
        totals
    }

    /// The rates of each item, dealt out anew among the persons who met it.
    pub(super) fn permuted(&self, seed: u64, draw: usize) -> Self {
        let mut random = random(seed, draw, 1);
        let mut of_item: Vec<Vec<f64>> = vec![Vec::new(); self.items.len()];
        self.rows.iter().flatten().for_each(|&(item, rate)| of_item[item].push(rate));
        for rates in &mut of_item {
            for at in (1..rates.len()).rev() {
                rates.swap(at, random.random_range(0..=at));
            }
        }
        let mut table = self.clone();
        for (item, rate) in table.rows.iter_mut().flatten() {
            *rate = of_item[*item].pop().unwrap_or(*rate);
        }
        table
    }
}

/// A stream of its own for each draw, so that draws do not depend on threads.
pub(super) fn random(seed: u64, draw: usize, what: u64) -> impl Rng {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(4 * draw as u64 + what);
    random
}
