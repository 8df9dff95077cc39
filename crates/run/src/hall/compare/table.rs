use std::collections::{BTreeMap, BTreeSet, HashMap};

use exam::Scores;
use exam::statistics::{Attempts, ByCluster, Score, attempts, pass_at_k};
use marks::Marks;

use super::Count;
use crate::{Error, Result};

/// Persons × items, as shares of points, with what makes them dependent.
pub(in crate::hall) struct Table {
    /// Names of the persons.
    pub names: Vec<String>,
    /// Base model of each, if it is known.
    pub base_names: Vec<Option<String>>,
    /// Number of the base model; persons without one have one of their own.
    pub bases: Vec<usize>,
    /// Group of each, if it is known.
    pub groups: Vec<Option<String>>,
    /// Ids of the items.
    pub items: Vec<String>,
    /// Points that each gives.
    pub points: Vec<f64>,
    /// Cluster of each item; items without one have one of their own.
    pub clusters: Vec<usize>,
    /// Items whose cluster is known.
    pub clustered: usize,
    /// Persons × items.
    pub cells: Vec<Option<f64>>,
    /// How attempts and items make up each person's uncertainty; none without a second attempt.
    pub attempts: Vec<Option<Attempts>>,
    /// Cells with fewer attempts than `pass@K` asks for.
    pub short_of_attempts: usize,
    /// Subject of each item.
    subjects: Vec<Option<String>>,
}

impl Table {
    /// The persons of `only`, or all, on all items that one of them met.
    pub fn new(marks: &Marks, only: &[String], count: Count) -> Result<Self> {
        let all: Vec<&str> = marks.persons().iter().map(|person| person.name.as_str()).collect();
        for name in only {
            known(&all, name)?;
        }
        let persons: Vec<u32> = (0..all.len() as u32)
            .filter(|&at| only.is_empty() || only.iter().any(|name| name == all[at as usize]))
            .collect();
        let place: HashMap<u32, usize> = persons.iter().enumerate().map(|(at, &person)| (person, at)).collect();
        // Means over graders, attempt by attempt.
        let mut tries: BTreeMap<(usize, u32, u16), (f64, f64)> = BTreeMap::new();
        for row in marks.rows() {
            let Some(&person) = place.get(&row.person) else { continue };
            let max = marks.items()[row.item as usize].max;
            let (sum, n) = tries.entry((person, row.item, row.attempt)).or_default();
            *sum += if max > 0.0 { (f64::from(row.score) / max).min(1.0) } else { 0.0 };
            *n += 1.0;
        }
        let met: BTreeSet<u32> = tries.keys().map(|(_, item, _)| *item).collect();
        let item_place: HashMap<u32, usize> = met.iter().enumerate().map(|(at, &item)| (item, at)).collect();
        let mut gathered: BTreeMap<(usize, usize), Vec<f64>> = BTreeMap::new();
        for ((person, item, _), (sum, n)) in tries {
            // Scores come in 32 bits; a full mark must stay one.
            let share = ((sum / n) * 1e7).round() / 1e7;
            gathered.entry((person, item_place[&item])).or_default().push(share);
        }
        let mut cells = vec![None; persons.len() * met.len()];
        let mut short = 0;
        for ((person, item), tries) in &gathered {
            let full = tries.iter().filter(|share| **share >= 1.0).count();
            let value = match count {
                Count::Mean => Some(tries.iter().sum::<f64>() / tries.len() as f64),
                Count::Full => Some(full as f64 / tries.len() as f64),
                Count::Pass(k) => pass_at_k(tries.len(), full, k),
            };
            short += usize::from(value.is_none());
            cells[person * met.len() + item] = value;
        }
        if short == gathered.len() && short > 0 {
            return Err(Error::Nothing {
                problem: "no item was tried as often as pass@K asks for".into(),
                hint: "take a smaller K, or --score mean".into(),
            });
        }
        let attempts = (0..persons.len())
            .map(|person| {
                let own = gathered.range((person, 0)..(person + 1, 0));
                let counted: Vec<Vec<f64>> = own.map(|(_, tries)| counted(tries, count)).collect();
                if matches!(count, Count::Pass(_)) { None } else { attempts(counted.iter().map(Vec::as_slice)) }
            })
            .collect();
        let of = |at: &u32| &marks.persons()[*at as usize];
        let items: Vec<&marks::Item> = met.iter().map(|&item| &marks.items()[item as usize]).collect();
        let base_names: Vec<Option<String>> = persons.iter().map(|at| of(at).base.clone()).collect();
        let cluster_names: Vec<Option<String>> = items.iter().map(|item| item.cluster.clone()).collect();
        Ok(Self {
            names: persons.iter().map(|at| of(at).name.clone()).collect(),
            bases: numbers(&base_names),
            base_names,
            groups: persons.iter().map(|at| of(at).group.clone()).collect(),
            items: items.iter().map(|item| item.id.clone()).collect(),
            points: items.iter().map(|item| item.max).collect(),
            clusters: numbers(&cluster_names),
            clustered: cluster_names.iter().flatten().count(),
            cells,
            attempts,
            short_of_attempts: short,
            subjects: items.iter().map(|item| item.subject.clone()).collect(),
        })
    }

    /// As the comparison takes it.
    pub fn scores(&self) -> Scores<'_> {
        Scores { bases: &self.bases, clusters: &self.clusters, cells: &self.cells }
    }

    /// Persons' scores that are there.
    pub fn met(&self) -> u64 {
        self.cells.iter().flatten().count() as u64
    }

    /// Place of a person by name.
    pub fn place(&self, name: &str) -> Result<usize> {
        known(&self.names.iter().map(String::as_str).collect::<Vec<_>>(), name)
    }

    /// A person's shares, item by item.
    pub fn row(&self, person: usize) -> &[Option<f64>] {
        &self.cells[person * self.items.len()..(person + 1) * self.items.len()]
    }

    /// Items that everybody met.
    pub fn common(&self) -> Vec<usize> {
        (0..self.items.len())
            .filter(|&item| (0..self.names.len()).all(|person| self.row(person)[item].is_some()))
            .collect()
    }

    /// First less second over their common items.
    pub fn differences(&self, first: usize, second: usize) -> ByCluster {
        let both = self.row(first).iter().zip(self.row(second)).zip(&self.clusters);
        ByCluster::new(both.filter_map(|((a, b), cluster)| Some((*cluster, (*a)? - (*b)?))))
    }

    /// Scores of two groups, with their clusters.
    pub fn of_groups(&self, first: &str, second: &str) -> Vec<Score> {
        let mut scores = Vec::new();
        for (person, group) in self.groups.iter().enumerate() {
            let Some(group) = group.as_deref().filter(|group| [first, second].contains(group)) else { continue };
            for (share, &item) in self.row(person).iter().zip(&self.clusters) {
                if let Some(value) = *share {
                    scores.push(Score { first: group == first, value, item, base: self.bases[person] });
                }
            }
        }
        scores
    }

    /// The same persons on the items of each subject, in the order of names.
    pub fn by_subject(&self, marks: &Marks) -> Vec<(String, Self)> {
        let names: Vec<&str> = marks.subjects().into_keys().filter(|name| !name.is_empty()).collect();
        let of = |name: &str| {
            let keep: Vec<usize> =
                (0..self.items.len()).filter(|&item| self.subjects[item].as_deref() == Some(name)).collect();
            let pick = |all: &[usize]| keep.iter().map(|&item| all[item]).collect();
            Self {
                names: self.names.clone(),
                base_names: self.base_names.clone(),
                bases: self.bases.clone(),
                groups: self.groups.clone(),
                items: keep.iter().map(|&item| self.items[item].clone()).collect(),
                points: keep.iter().map(|&item| self.points[item]).collect(),
                clusters: pick(&self.clusters),
                clustered: self.clustered,
                cells: (0..self.names.len())
                    .flat_map(|person| keep.iter().map(move |&item| self.row(person)[item]))
                    .collect(),
                attempts: vec![None; self.names.len()],
                short_of_attempts: 0,
                subjects: keep.iter().map(|&item| self.subjects[item].clone()).collect(),
            }
        };
        names
            .into_iter()
            .map(|name| (name.to_string(), of(name)))
            .filter(|(_, table)| !table.items.is_empty())
            .collect()
    }

    /// What a reader must know of the table.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let common = self.common().len();
        if common < self.items.len() {
            notes.push(format!(
                "{common} of {} items were met by everybody. Each pair is compared over the items that both met; scores \
                 are over the items that a person met, so they may differ for that reason alone.",
                self.items.len()
            ));
        }
        if self.short_of_attempts > 0 {
            notes.push(format!(
                "{} scores were left out because there are fewer attempts than pass@K asks for.",
                self.short_of_attempts
            ));
        }
        notes
    }
}

fn counted(tries: &[f64], count: Count) -> Vec<f64> {
    match count {
        Count::Mean | Count::Pass(_) => tries.to_vec(),
        Count::Full => tries.iter().map(|share| f64::from(u8::from(*share >= 1.0))).collect(),
    }
}

/// Equal names have equal numbers, those without a name have their own.
fn numbers(names: &[Option<String>]) -> Vec<usize> {
    let mut seen: HashMap<&str, usize> = HashMap::new();
    names
        .iter()
        .enumerate()
        .map(|(at, name)| name.as_deref().map_or(at, |name| *seen.entry(name).or_insert(at)))
        .collect()
}

/// Place of a name, or an error that names the nearest one.
fn known(all: &[&str], name: &str) -> Result<usize> {
    all.iter().position(|other| *other == name).ok_or_else(|| {
        let near = all.iter().min_by_key(|other| strsim::levenshtein(other, name));
        Error::Nothing {
            problem: format!("no person {name:?} is in the logs"),
            hint: match (near, all.len()) {
                (Some(near), 9..) => format!("did you mean {near:?}? There are {} persons", all.len()),
                _ => format!("there are {}", all.join(", ")),
            },
        }
    })
}
