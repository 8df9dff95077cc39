use rayon::prelude::*;
use record::seed;
use serde::{Deserialize, Serialize};

use crate::statistics::{
    Bootstrap, ByCluster, Difference, McNemar, Permutation, bootstrap, detectable, letters, mcnemar, mean_interval,
    sign_flip, student, tied,
};

/// Scores of persons on items, to be compared.
#[derive(Debug, Clone, Copy)]
pub struct Scores<'a> {
    /// The base model of each person; those of one base are not independent.
    pub bases: &'a [usize],
    /// The cluster of each item.
    pub clusters: &'a [usize],
    /// Persons × items, each a share of the item's points in [0, 1]; none where it was not met.
    pub cells: &'a [Option<f64>],
}

/// How persons are compared.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Pairing {
    /// Level of the family of all pairs, and 1 less the coverage of intervals; in (0, 1).
    pub alpha: f64,
    /// How often clusters are drawn again, or signs flipped where all flips cannot be counted; 0 for
    /// neither.
    pub resamples: usize,
    /// Chance with which the minimum detectable effect is detected; in (0, 1).
    pub power: f64,
    /// Seed of what is drawn.
    pub seed: u64,
}

impl Default for Pairing {
    fn default() -> Self {
        Self { alpha: 0.05, resamples: 2000, power: 0.8, seed: 0 }
    }
}

/// A person's score over the items that it met.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// Place in the table.
    pub person: usize,
    /// Items met.
    pub n: usize,
    /// Their clusters.
    pub clusters: usize,
    /// Mean score, in [0, 1].
    pub score: f64,
    /// Its clustered standard error; absent below two clusters.
    pub standard_error: Option<f64>,
    /// Its interval by [`mean_interval`].
    pub interval: Option<(f64, f64)>,
    /// The groups of persons who are not told apart that it belongs to, as letters.
    pub letters: String,
}

/// Which test gave a pair's p.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum By {
    /// All flips of the signs of clusters were counted; mid-p.
    SignFlip,
    /// Student's t of the clustered mean, where they cannot be.
    T,
}

/// Two persons, item by item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pair {
    /// The one with the higher score over its items, or the earlier one.
    pub first: usize,
    /// The other.
    pub second: usize,
    /// Items that only the first met.
    pub only_first: usize,
    /// Items that only the second met.
    pub only_second: usize,
    /// Common items on which the first has more.
    pub won: usize,
    /// Common items on which it has less.
    pub lost: usize,
    /// Whether both are variants of one base model.
    pub same_base: bool,
    /// Score of the first less that of the second over common items; absent below two common clusters.
    pub difference: Option<Difference>,
    /// Interval by drawing clusters again.
    pub bootstrap: Option<Bootstrap>,
    /// Sign flips by cluster.
    pub sign_flip: Option<Permutation>,
    /// McNemar's test, where each common item is a cluster and right or wrong.
    pub mcnemar: Option<McNemar>,
    /// The p that the adjusted ones start from.
    pub p: Option<f64>,
    /// Which test it is of.
    pub by: Option<By>,
    /// Adjusted by Holm over all pairs: at most α means told apart.
    pub holm: Option<f64>,
    /// Adjusted by Benjamini and Hochberg over all pairs.
    pub benjamini_hochberg: Option<f64>,
    /// Minimum detectable effect of this pair taken alone, at α; absent where it would be above 1.
    pub detectable: Option<f64>,
}

/// All persons of a table, each against each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Standings {
    /// Persons, best first.
    pub persons: Vec<Standing>,
    /// Pairs, in the order of persons.
    pub pairs: Vec<Pair>,
    /// Groups of persons no two of whom are told apart by Holm's p, by place in the table.
    pub tied: Vec<Vec<usize>>,
}

/// Compares each person with each, over the items that both met; one result for each table. The pairs of
/// all tables (of several subjects, say) are one family for the adjusted p and the groups.
pub fn pairs(tables: &[Scores], settings: &Pairing) -> Vec<Standings> {
    let mut all: Vec<Standings> = tables.iter().map(|scores| compared(scores, settings)).collect();
    let tested = || all.iter().flat_map(|standings| &standings.pairs).filter_map(|pair| pair.p);
    let p: Vec<f64> = tested().collect();
    let adjusted = irt::significance::holm(&p).into_iter().zip(irt::significance::benjamini_hochberg(&p));
    let pairs = all.iter_mut().flat_map(|standings| &mut standings.pairs).filter(|pair| pair.p.is_some());
    for (pair, (holm, rate)) in pairs.zip(adjusted) {
        (pair.holm, pair.benjamini_hochberg) = (Some(holm), Some(rate));
    }
    all.iter_mut().for_each(|standings| standings.group(settings.alpha));
    all
}

fn compared(scores: &Scores, settings: &Pairing) -> Standings {
    let items = scores.clusters.len();
    let row = |person: usize| &scores.cells[person * items..(person + 1) * items];
    let mut persons: Vec<Standing> = (0..scores.bases.len())
        .map(|person| {
            let met = row(person).iter().zip(scores.clusters).filter_map(|(cell, cluster)| Some((*cluster, (*cell)?)));
            let values = ByCluster::new(met);
            Standing {
                person,
                n: values.n(),
                clusters: values.clusters(),
                score: if values.n() == 0 { 0.0 } else { values.mean() },
                standard_error: values.standard_error(),
                interval: mean_interval(&values, settings.alpha),
                letters: String::new(),
            }
        })
        .collect();
    persons.sort_by(|a, b| b.score.total_cmp(&a.score));
    let order: Vec<usize> = persons.iter().map(|standing| standing.person).collect();
    let ranks: Vec<(usize, usize)> = (0..order.len()).flat_map(|i| (i + 1..order.len()).map(move |j| (i, j))).collect();
    let pairs = ranks
        .par_iter()
        .map(|&(i, j)| {
            let (first, second) = (order[i], order[j]);
            pair(scores, settings, (first, second), (row(first), row(second)))
        })
        .collect();
    Standings { persons, pairs, tied: Vec::new() }
}

impl Standings {
    /// Finds who is tied, when p are adjusted.
    fn group(&mut self, alpha: f64) {
        let n = self.persons.len();
        // Pairs lie row after row of the upper triangle.
        let at = |i: usize, j: usize| i * (2 * n - i - 1) / 2 + j - i - 1;
        let groups = tied(n, |i, j| i != j && self.pairs[at(i.min(j), i.max(j))].told_apart(alpha));
        for (standing, letters) in self.persons.iter_mut().zip(letters(n, &groups)) {
            standing.letters = letters;
        }
        let person = |rank: usize| self.persons[rank].person;
        self.tied = groups.into_iter().map(|group| group.into_iter().map(person).collect()).collect();
    }

    /// The pair of two persons, and whether `first` is its first.
    pub fn pair(&self, first: usize, second: usize) -> Option<(&Pair, bool)> {
        let is = |pair: &&Pair| [(first, second), (second, first)].contains(&(pair.first, pair.second));
        self.pairs.iter().find(is).map(|pair| (pair, pair.first == first))
    }
}

impl Pair {
    /// Whether Holm's adjusted p is at most α.
    pub fn told_apart(&self, alpha: f64) -> bool {
        self.holm.is_some_and(|p| p <= alpha)
    }

    /// The same pair seen from the other side.
    pub fn turned(&self) -> Self {
        let difference = self.difference.map(|d| Difference { mean: -d.mean, low: -d.high, high: -d.low, ..d });
        let bootstrap = self.bootstrap.map(|b| Bootstrap { low: -b.high, high: -b.low, ..b });
        let mcnemar = self.mcnemar.map(|test| McNemar { gained: test.lost, lost: test.gained, ..test });
        Self {
            first: self.second,
            second: self.first,
            only_first: self.only_second,
            only_second: self.only_first,
            won: self.lost,
            lost: self.won,
            difference,
            bootstrap,
            mcnemar,
            ..self.clone()
        }
    }
}

fn pair(
    scores: &Scores,
    settings: &Pairing,
    (first, second): (usize, usize),
    (a, b): (&[Option<f64>], &[Option<f64>]),
) -> Pair {
    let both = a.iter().zip(b).zip(scores.clusters);
    let common: Vec<(usize, f64, f64)> = both.filter_map(|((a, b), cluster)| Some((*cluster, (*a)?, (*b)?))).collect();
    let values = ByCluster::new(common.iter().map(|(cluster, a, b)| (*cluster, a - b)));
    let (won, lost) = (count(&common, |a, b| a > b), count(&common, |a, b| a < b));
    let seed = seed::derive(settings.seed, "pairs", &format!("{first} {second}"));
    let difference = student(&values, settings.alpha);
    let flip = difference.map(|_| sign_flip(&values, settings.resamples, seed));
    let whole = common.iter().all(|(_, a, b)| [a, b].into_iter().all(|x| *x == 0.0 || *x == 1.0));
    // Few flips or none that were drawn are no ground for a family of many pairs.
    let (p, by) = match (flip, difference) {
        (Some(flip), _) if flip.exact => (Some(flip.mid), Some(By::SignFlip)),
        (_, Some(difference)) => (Some(difference.p), Some(By::T)),
        _ => (None, None),
    };
    let detectable = difference
        .filter(|found| found.standard_error > 0.0)
        .map(|found| detectable(found.standard_error, found.freedom, settings.alpha, settings.power));
    Pair {
        first,
        second,
        only_first: a.iter().flatten().count() - common.len(),
        only_second: b.iter().flatten().count() - common.len(),
        won,
        lost,
        same_base: scores.bases[first] == scores.bases[second],
        difference,
        bootstrap: bootstrap(&values, settings.resamples, settings.alpha, seed),
        sign_flip: flip.filter(|flip| flip.exact || flip.flips > 0),
        mcnemar: (whole && values.clusters() == common.len() && difference.is_some()).then(|| mcnemar(won, lost)),
        p,
        by,
        holm: None,
        benjamini_hochberg: None,
        detectable: detectable.filter(|effect| *effect <= 1.0),
    }
}

fn count(common: &[(usize, f64, f64)], is: impl Fn(f64, f64) -> bool) -> usize {
    common.iter().filter(|(_, a, b)| is(*a, *b)).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};

    /// Persons with these chances on 150 items, two to a cluster.
    fn sat(chances: &[f64], seed: u64) -> (Vec<usize>, Vec<Option<f64>>) {
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        let cells = chances.iter().flat_map(|chance| [*chance; 150]).collect::<Vec<_>>();
        let right = cells.into_iter().map(|chance| Some(f64::from(u8::from(random.random::<f64>() < chance))));
        let cells = right.collect();
        ((0..150).map(|item| item / 2).collect(), cells)
    }

    #[test]
    fn the_better_stand_above_and_the_equal_together() {
        let (clusters, cells) = sat(&[0.45, 0.9, 0.5, 0.88], 3);
        let scores = Scores { bases: &[0, 1, 0, 2], clusters: &clusters, cells: &cells };
        let settings = Pairing { resamples: 200, ..Pairing::default() };
        let found = pairs(&[scores], &settings).remove(0);
        let letters: Vec<&str> = found.persons.iter().map(|standing| standing.letters.as_str()).collect();
        assert_eq!(letters, ["a", "a", "b", "b"]);
        assert_eq!(found.tied.len(), 2);
        let of = |a, b| {
            found
                .pairs
                .iter()
                .find(|pair| [pair.first, pair.second] == [a, b] || [pair.first, pair.second] == [b, a])
                .expect("pair")
        };
        assert!(of(0, 2).same_base && !of(1, 3).same_base);
        let far = of(1, 0);
        let (difference, drawn) = (far.difference.expect("clusters"), far.bootstrap.expect("clusters"));
        assert!((difference.mean - (far.won as f64 - far.lost as f64) / 150.0).abs() < 1e-12);
        assert!((difference.low - drawn.low).abs() < 0.03 && (difference.high - drawn.high).abs() < 0.03);
        assert!(far.by == Some(By::SignFlip) && far.mcnemar.is_none() && far.p < Some(1e-6));
        assert!(found.pairs.iter().all(|pair| pair.holm >= pair.benjamini_hochberg && pair.holm >= pair.p));
        assert_eq!(found, pairs(&[scores], &settings)[0]);
        // Two tables are one family.
        let both = pairs(&[scores, scores], &settings);
        assert!(both[0] == both[1] && both[0].pairs.iter().zip(&found.pairs).all(|(two, one)| two.holm >= one.holm));
    }

    #[test]
    fn what_was_not_met_is_counted_and_disjoint_persons_are_not_tested() {
        let cells =
            [Some(1.0), Some(0.0), Some(1.0), None, Some(0.0), Some(0.0), Some(1.0), None, None, None, None, Some(0.5)];
        let scores = Scores { bases: &[0, 1, 2], clusters: &[0, 1, 2, 3], cells: &cells };
        let found = pairs(&[scores], &Pairing::default()).remove(0);
        let first = &found.pairs[0];
        assert_eq!((first.first, first.second, first.won, first.lost), (0, 2, 0, 0));
        assert_eq!((first.only_first, first.only_second, first.difference), (3, 1, None));
        let (other, straight) = found.pair(0, 1).expect("pair");
        assert!(straight && !found.pair(1, 0).expect("pair").1);
        let turned = other.turned();
        assert!((turned.first, turned.won, turned.lost) == (1, 0, 1) && turned.turned() == *other);
        assert_eq!((other.won, other.lost, other.only_first, other.only_second), (1, 0, 0, 0));
        assert!(other.mcnemar.is_some() && other.holm == other.p);
    }

    #[test]
    fn a_family_of_equal_persons_holds_a_false_difference_in_one_of_twenty_exams() {
        let exams = 250;
        let wrong = (0..exams).filter(|seed| {
            let (clusters, cells) = sat(&[0.6; 5], *seed);
            let scores = Scores { bases: &[0, 1, 2, 3, 4], clusters: &clusters, cells: &cells };
            pairs(&[scores], &Pairing { resamples: 0, ..Pairing::default() })[0].tied.len() > 1
        });
        let share = wrong.count() as f64 / exams as f64;
        // Holm's bound is 0.05, and pairs that share a person make it less; 250 exams: ± 0.03.
        assert!((0.004..0.09).contains(&share), "{share}");
    }
}
