use std::collections::HashMap;

use rayon::prelude::*;

use crate::{Model, Responses};

/// Persons as the marginal likelihood sees them: those with equal posteriors are one row.
///
/// For models in which the raw score suffices, persons who met the same items with the same raw score
/// have the same posterior of θ; else persons with the same responses do. A row's mean
/// log-likelihood over its persons gives their posterior, and its multiple their likelihood, because
/// log-likelihoods of one row's persons differ by a constant only.
pub(crate) enum Rows<'a> {
    /// One row a person.
    Persons(&'a Responses),
    /// Fewer.
    Groups {
        /// Persons of each row.
        weights: Vec<f64>,
        /// Where each row's cells begin; one more than rows.
        starts: Vec<usize>,
        /// (item, category, share of the row's persons).
        cells: Vec<(u32, u8, f64)>,
    },
}

impl<'a> Rows<'a> {
    pub fn new(responses: &'a Responses, model: Model) -> Self {
        let hashes: Vec<u128> = (0..responses.persons())
            .into_par_iter()
            .map(|person| {
                let (items, scores) = responses.slices(person);
                let mut hash = Hash::default();
                hash.add(items.len() as u64);
                // Who met every item needs no list of them.
                if items.len() < responses.items() {
                    items.iter().for_each(|&item| hash.add(u64::from(item)));
                }
                match model.raw_score_suffices() {
                    true => hash.add(scores.iter().map(|&score| u64::from(score)).sum()),
                    false => scores.iter().for_each(|&score| hash.add(u64::from(score))),
                }
                hash.0
            })
            .collect();
        let mut numbers: HashMap<u128, u32> = HashMap::new();
        let of = hashes.iter().map(|&hash| {
            let next = numbers.len() as u32;
            *numbers.entry(hash).or_insert(next)
        });
        let of: Vec<u32> = of.collect();
        if numbers.len() * 2 > responses.persons() {
            return Self::Persons(responses);
        }
        let mut members: Vec<Vec<u32>> = vec![Vec::new(); numbers.len()];
        of.iter().enumerate().for_each(|(person, &row)| members[row as usize].push(person as u32));
        let most = (0..responses.items()).map(|item| responses.categories(item)).max().unwrap_or(2);
        let row = |members: &Vec<u32>| {
            let share = 1.0 / members.len() as f64;
            let mut counts = vec![0_u32; responses.items() * most];
            for &person in members {
                responses.of(person as usize).for_each(|(item, score)| counts[item * most + score] += 1);
            }
            // All members of a row met the same items.
            let met = responses
                .of(members[0] as usize)
                .flat_map(|(item, _)| (0..responses.categories(item)).map(move |score| (item, score)));
            let cells = met.filter_map(|(item, score)| {
                let count = counts[item * most + score];
                (count > 0).then(|| (item as u32, score as u8, f64::from(count) * share))
            });
            cells.collect::<Vec<_>>()
        };
        let rows: Vec<Vec<(u32, u8, f64)>> = members.par_iter().map(row).collect();
        let (mut starts, mut cells) = (vec![0], Vec::with_capacity(rows.iter().map(Vec::len).sum()));
        for row in rows {
            cells.extend(row);
            starts.push(cells.len());
        }
        let weights = members.iter().map(|members| members.len() as f64).collect();
        Self::Groups { weights, starts, cells }
    }

    pub fn len(&self) -> usize {
        match self {
            Self::Persons(responses) => responses.persons(),
            Self::Groups { weights, .. } => weights.len(),
        }
    }

    pub fn weight(&self, row: usize) -> f64 {
        match self {
            Self::Persons(_) => 1.0,
            Self::Groups { weights, .. } => weights[row],
        }
    }

    /// Calls with (item, category, share) for each cell of a row.
    #[inline]
    pub fn cells(&self, row: usize, mut each: impl FnMut(usize, usize, f64)) {
        match self {
            Self::Persons(responses) => responses.of(row).for_each(|(item, score)| each(item, score, 1.0)),
            Self::Groups { starts, cells, .. } => cells[starts[row]..starts[row + 1]]
                .iter()
                .for_each(|&(item, score, share)| each(item as usize, usize::from(score), share)),
        }
    }
}

/// A wide hash of numbers; the same everywhere, so that rows keep their order.
struct Hash(u128);

impl Default for Hash {
    fn default() -> Self {
        Self(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d)
    }
}

impl Hash {
    fn add(&mut self, number: u64) {
        self.0 = (self.0 ^ u128::from(number)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
        self.0 ^= self.0 >> 59;
    }
}
