use rayon::prelude::*;

use crate::{Error, Result};

/// Scores of persons on items, with gaps wherever a person did not meet an item.
///
/// Stored by person: 5 bytes a response and 8 a person, so 10⁸ responses take half a gigabyte.
#[derive(Debug, Clone, PartialEq)]
pub struct Responses {
    /// Number of score categories of each item, 2 or more: scores run from 0 to this less 1.
    categories: Vec<u8>,
    /// Where each person's responses begin; one more than persons.
    starts: Vec<usize>,
    /// Items that were met, rising for each person.
    items: Vec<u32>,
    /// Their scores.
    scores: Vec<u8>,
}

impl Responses {
    /// From (person, item, score) in any order. An item's categories run from 0 to its highest score,
    /// at least two.
    pub fn sparse(persons: usize, items: usize, responses: &[(u32, u32, u8)]) -> Result<Self> {
        let fail = |at: usize, problem: String| Err(Error::Response { at, problem });
        let mut counts = vec![0_usize; persons + 1];
        let mut categories = vec![2_u8; items];
        for (at, &(person, item, score)) in responses.iter().enumerate() {
            if person as usize >= persons {
                return fail(at, format!("person {person} is not one of {persons}"));
            }
            if item as usize >= items {
                return fail(at, format!("item {item} is not one of {items}"));
            }
            if score == u8::MAX {
                return fail(at, "score 255 is more than the 254 that an item can have".into());
            }
            counts[person as usize + 1] += 1;
            let most = &mut categories[item as usize];
            *most = (*most).max(score + 1);
        }
        for person in 0..persons {
            counts[person + 1] += counts[person];
        }
        let (starts, mut next) = (counts.clone(), counts);
        let mut cells = vec![(0_u32, 0_u8); responses.len()];
        for &(person, item, score) in responses {
            let place = &mut next[person as usize];
            cells[*place] = (item, score);
            *place += 1;
        }
        for person in 0..persons {
            let own = &mut cells[starts[person]..starts[person + 1]];
            own.sort_unstable();
            if let Some(pair) = own.windows(2).find(|pair| pair[0].0 == pair[1].0) {
                return Err(Error::Twice { person, item: pair[0].0 as usize });
            }
        }
        let (items, scores) = cells.into_iter().unzip();
        Ok(Self { categories, starts, items, scores })
    }

    /// From a table of persons × items, row after row; `None` is a gap.
    pub fn table(items: usize, cells: &[Option<u8>]) -> Result<Self> {
        if items == 0 || !cells.len().is_multiple_of(items) {
            return Err(Error::Setting {
                setting: "items",
                problem: format!("is {items}, which does not divide the {} cells", cells.len()),
            });
        }
        let persons = cells.len() / items;
        let mut responses = Self {
            categories: vec![2; items],
            starts: Vec::with_capacity(persons + 1),
            items: Vec::with_capacity(cells.len()),
            scores: Vec::with_capacity(cells.len()),
        };
        responses.starts.push(0);
        for (person, row) in cells.chunks(items).enumerate() {
            for (item, score) in row.iter().enumerate() {
                let Some(score) = *score else { continue };
                if score == u8::MAX {
                    let problem = "score 255 is more than the 254 that an item can have".into();
                    return Err(Error::Response { at: person * items + item, problem });
                }
                let most = &mut responses.categories[item];
                *most = (*most).max(score + 1);
                responses.items.push(item as u32);
                responses.scores.push(score);
            }
            responses.starts.push(responses.items.len());
        }
        Ok(responses)
    }

    /// Number of persons.
    pub fn persons(&self) -> usize {
        self.starts.len() - 1
    }

    /// Number of items.
    pub fn items(&self) -> usize {
        self.categories.len()
    }

    /// Number of responses.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Number of score categories of an item.
    pub fn categories(&self, item: usize) -> usize {
        usize::from(self.categories[item])
    }

    /// A person's items and scores.
    pub fn of(&self, person: usize) -> impl ExactSizeIterator<Item = (usize, usize)> + '_ {
        let own = self.starts[person]..self.starts[person + 1];
        self.items[own.clone()].iter().zip(&self.scores[own]).map(|(&item, &score)| (item as usize, usize::from(score)))
    }

    /// The same as items and scores.
    pub(crate) fn slices(&self, person: usize) -> (&[u32], &[u8]) {
        let own = self.starts[person]..self.starts[person + 1];
        (&self.items[own.clone()], &self.scores[own])
    }

    /// How often each category of each item was scored.
    pub fn counts(&self) -> Vec<Vec<u64>> {
        let most = usize::from(self.categories.iter().copied().max().unwrap_or(0));
        let share = self.items.len().div_ceil(rayon::current_num_threads()).max(1);
        let shares = self.items.par_chunks(share).zip(self.scores.par_chunks(share)).map(|(items, scores)| {
            let mut counts = vec![0_u64; self.categories.len() * most];
            items.iter().zip(scores).for_each(|(&i, &score)| counts[i as usize * most + usize::from(score)] += 1);
            counts
        });
        let mut counts = vec![0; self.categories.len() * most];
        for share in shares.collect::<Vec<_>>() {
            counts.iter_mut().zip(share).for_each(|(to, more)| *to += more);
        }
        self.categories.iter().enumerate().map(|(i, &n)| counts[i * most..][..usize::from(n)].to_vec()).collect()
    }

    /// Sum of a person's scores.
    pub fn raw(&self, person: usize) -> usize {
        self.of(person).map(|(_, score)| score).sum()
    }

    /// The responses of some persons, in order; items and their categories stay.
    pub fn select(&self, keep: impl Fn(usize) -> bool) -> Self {
        let (mut starts, mut items, mut scores) = (vec![0], Vec::new(), Vec::new());
        for person in (0..self.persons()).filter(|&person| keep(person)) {
            let own = self.starts[person]..self.starts[person + 1];
            items.extend_from_slice(&self.items[own.clone()]);
            scores.extend_from_slice(&self.scores[own]);
            starts.push(items.len());
        }
        Self { categories: self.categories.clone(), starts, items, scores }
    }

    /// Groups of persons and items that no common response connects: difficulties of different groups
    /// cannot be compared. For each item the number of its group, from 0; items without responses
    /// have a group of their own.
    pub fn groups(&self) -> Vec<usize> {
        let mut parent: Vec<usize> = (0..self.items()).collect();
        fn root(parent: &mut [usize], mut at: usize) -> usize {
            while parent[at] != at {
                parent[at] = parent[parent[at]];
                at = parent[at];
            }
            at
        }
        for person in 0..self.persons() {
            let mut items = self.of(person).map(|(item, _)| item);
            if let Some(first) = items.next() {
                for item in items {
                    let (a, b) = (root(&mut parent, first), root(&mut parent, item));
                    // The smaller one leads, so that numbers follow the items' order.
                    parent[a.max(b)] = a.min(b);
                }
            }
        }
        let mut numbers = vec![usize::MAX; self.items()];
        let mut next = 0;
        (0..self.items())
            .map(|item| {
                let root = root(&mut parent, item);
                if numbers[root] == usize::MAX {
                    numbers[root] = next;
                    next += 1;
                }
                numbers[root]
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_come_back_by_person_whatever_their_order() {
        let given = Responses::sparse(3, 2, &[(2, 1, 3), (0, 1, 0), (0, 0, 1)]).expect("works");
        let of = |person| given.of(person).collect::<Vec<_>>();
        assert_eq!([of(0), of(1), of(2)], [vec![(0, 1), (1, 0)], vec![], vec![(1, 3)]]);
        assert_eq!((given.len(), given.categories(0), given.categories(1)), (3, 2, 4));
        let table = Responses::table(2, &[Some(1), Some(0), None, None, None, Some(3)]).expect("works");
        assert_eq!(table, given);
        assert_eq!(given.counts(), [vec![0, 1], vec![1, 0, 0, 1]]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let twice = Responses::sparse(1, 1, &[(0, 0, 1), (0, 0, 0)]).expect_err("must fail");
        assert_eq!(twice, Error::Twice { person: 0, item: 0 });
        let far = Responses::sparse(1, 1, &[(0, 0, 1), (0, 4, 0)]).expect_err("must fail");
        assert!(far.to_string().contains("response 1: item 4"), "{far}");
    }

    #[test]
    fn parts_of_a_design_that_nobody_connects_are_seen() {
        let apart = Responses::sparse(3, 5, &[(0, 0, 1), (0, 2, 0), (1, 1, 1), (1, 3, 1), (2, 2, 1)]).expect("works");
        assert_eq!(apart.groups(), [0, 1, 0, 1, 2]);
    }
}
