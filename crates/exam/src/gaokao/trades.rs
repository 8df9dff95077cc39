use rand::{Rng, RngExt};

use super::table::{Table, random};

/// Tables as likely as the given one where the Rasch model holds: those with the same total for each person and each
/// item. The model makes all of them equally likely, whatever abilities and difficulties are, so nothing is fitted.
///
/// An item of m steps is m trials of one difficulty; a mean of graders that is no whole step counts as the nearest one,
/// and exactness ends there. Two persons trade: of the trials that one of them passed and the
/// other did not, each keeps as many passes, but which is drawn anew (Strona et al. 2014; Carstens 2015 shows that all
/// tables are reached alike). The table at hand is first led away from, to a hub, and every draw leads from there, so
/// that it is exchangeable with the draws however slowly the chain mixes (Besag and Clifford 1989).
pub(super) struct SameTotals<'a> {
    table: &'a Table,
    /// (trial, passed) of each person, trials rising.
    hub: Vec<Vec<(u32, bool)>>,
    seed: u64,
}

/// Trades on the way, for each person.
const TRADES: usize = 20;

impl<'a> SameTotals<'a> {
    pub(super) fn new(table: &'a Table, seed: u64) -> Self {
        let mut random = random(seed, 0, 3);
        let mut first = vec![0_u32; table.items.len()];
        let mut trials = 0;
        for (first, steps) in first.iter_mut().zip(&table.steps) {
            (*first, trials) = (trials, trials + steps);
        }
        let row = |row: &Vec<(usize, f64)>| {
            row.iter()
                .flat_map(|&(item, rate)| {
                    let steps = table.steps[item];
                    let passed = (rate * f64::from(steps)).round() as u32;
                    let first = first[item];
                    (0..steps).map(move |trial| (first + trial, trial < passed))
                })
                .collect()
        };
        let mut found = Self { table, hub: Vec::new(), seed };
        let mut rows: Vec<_> = table.rows.iter().map(row).collect();
        found.lead(&mut rows, &mut random);
        found.hub = rows;
        found
    }

    /// One of the tables.
    pub(super) fn draw(&self, draw: usize) -> Table {
        let mut rows = self.hub.clone();
        self.lead(&mut rows, &mut random(self.seed, draw, 2));
        let mut table = self.table.clone();
        for (row, trials) in table.rows.iter_mut().zip(&rows) {
            let mut trials = trials.iter();
            for (item, rate) in row {
                let steps = self.table.steps[*item];
                let passed = trials.by_ref().take(steps as usize).filter(|(_, passed)| *passed).count();
                *rate = passed as f64 / f64::from(steps);
            }
        }
        table
    }

    fn lead(&self, rows: &mut [Vec<(u32, bool)>], random: &mut impl Rng) {
        let mut differ = Vec::new();
        for _ in 0..TRADES {
            self.shuffle(rows, random);
            for _ in 0..rows.len() {
                let one = random.random_range(0..rows.len());
                let other = (one + random.random_range(1..rows.len())) % rows.len();
                let (low, high) = rows.split_at_mut(one.max(other));
                trade(&mut low[one.min(other)], &mut high[0], &mut differ, random);
            }
        }
        self.shuffle(rows, random);
    }

    /// Which of an item's trials were passed means nothing, so that passes move between them.
    fn shuffle(&self, rows: &mut [Vec<(u32, bool)>], random: &mut impl Rng) {
        for (row, cells) in rows.iter_mut().zip(&self.table.rows) {
            let mut at = 0;
            for (item, _) in cells {
                let steps = self.table.steps[*item] as usize;
                for last in (1..steps).rev() {
                    let other = random.random_range(0..=last);
                    let passed = row[at + last].1;
                    row[at + last].1 = std::mem::replace(&mut row[at + other].1, passed);
                }
                at += steps;
            }
        }
    }
}

fn trade(one: &mut [(u32, bool)], other: &mut [(u32, bool)], differ: &mut Vec<(usize, usize)>, random: &mut impl Rng) {
    differ.clear();
    let (mut i, mut j, mut passes) = (0, 0, 0);
    while i < one.len() && j < other.len() {
        match one[i].0.cmp(&other[j].0) {
            std::cmp::Ordering::Less => i += 1,
            std::cmp::Ordering::Greater => j += 1,
            std::cmp::Ordering::Equal => {
                if one[i].1 != other[j].1 {
                    differ.push((i, j));
                    passes += usize::from(one[i].1);
                }
                (i, j) = (i + 1, j + 1);
            }
        }
    }
    for (at, &(i, j)) in differ.iter().enumerate() {
        let passed = random.random_range(0..differ.len() - at) < passes;
        passes -= usize::from(passed);
        (one[i].1, other[j].1) = (passed, !passed);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn table(rows: &[&[(usize, f64)]], steps: &[u32]) -> Table {
        Table {
            persons: (0..rows.len() as u32).collect(),
            items: (0..steps.len() as u32).collect(),
            rows: rows.iter().map(|row| row.to_vec()).collect(),
            steps: steps.to_vec(),
            groups: Vec::new(),
        }
    }

    #[test]
    fn totals_stay_and_gaps_too() {
        let given = table(
            &[&[(0, 1.0), (1, 0.25), (2, 0.0)], &[(1, 0.75), (2, 1.0)], &[(0, 0.0), (1, 0.5), (2, 1.0)]],
            &[1, 4, 1],
        );
        let tables = SameTotals::new(&given, 5);
        let trials = |table: &Table, person: usize| -> f64 {
            table.rows[person].iter().map(|(item, rate)| rate * f64::from(table.steps[*item])).sum()
        };
        let mut moved = 0;
        for draw in 0..50 {
            let drawn = tables.draw(draw);
            assert!((0..3).all(|person| (trials(&drawn, person) - trials(&given, person)).abs() < 1e-9));
            let near = |(a, b): (&(f64, usize), &(f64, usize))| (a.0 - b.0).abs() < 1e-9 && a.1 == b.1;
            assert!(drawn.totals().iter().zip(&given.totals()).all(near), "{:?}", drawn.rows);
            moved += usize::from(drawn.rows != given.rows);
        }
        assert!(moved > 20, "{moved}");
    }

    #[test]
    fn tables_of_the_same_totals_are_equally_likely() {
        // Rows 2, 1, 1 and columns 2, 1, 1: five tables.
        let given = table(
            &[&[(0, 1.0), (1, 1.0), (2, 0.0)], &[(0, 1.0), (1, 0.0), (2, 0.0)], &[(0, 0.0), (1, 0.0), (2, 1.0)]],
            &[1; 3],
        );
        let tables = SameTotals::new(&given, 1);
        let mut seen: HashMap<String, usize> = HashMap::new();
        (0..5000).for_each(|draw| *seen.entry(format!("{:?}", tables.draw(draw).rows)).or_default() += 1);
        assert_eq!(seen.len(), 5);
        let square: f64 = seen.values().map(|&n| (n as f64 - 1000.0).powi(2) / 1000.0).sum();
        // χ² with four degrees of freedom: above 23.5 once in 10,000.
        assert!(square < 23.5, "{seen:?}");
    }
}
