use std::collections::{BTreeMap, HashMap};

use exam::grade::{Basis, Settled};
use exam::paper::{Answer, ClosedBook, Date, Paper, Total, closed_book, total};
use exam::statistics::{ByCluster, Difference, student};
use serde::Serialize;

/// What a person got in one attempt.
#[derive(Debug, Clone, Serialize)]
pub struct PersonTotal {
    /// Who.
    pub person: String,
    /// Number of the attempt.
    pub attempt: u16,
    /// Points, and which elective items counted.
    pub total: Total,
    /// Share of the points with its 95 % interval over items that counted, clustered; none below two clusters.
    pub share: Option<Difference>,
    /// Whether it counts as closed-book.
    pub closed: ClosedBook,
    /// The day on which its weights became public.
    pub published: Option<Date>,
    /// Items without an answer: failed, empty or not handed in; they count as 0.
    pub blank: usize,
    /// Answers that nobody could mark; they count as 0.
    pub unmarked: usize,
}

/// Totals of all persons, those who count as closed-book first, then by points.
pub(super) fn totals(paper: &Paper, answers: &[Answer], settled: &[Settled]) -> Vec<PersonTotal> {
    let mut persons: BTreeMap<(&str, u16), Vec<&Settled>> = BTreeMap::new();
    settled.iter().for_each(|score| persons.entry((&score.person, score.attempt)).or_default().push(score));
    let one = |((person, attempt), scores): ((&str, u16), Vec<&Settled>)| {
        let points: HashMap<&str, f64> = scores.iter().map(|score| (score.item.as_str(), score.points)).collect();
        let total = total(paper, &points);
        let published = answers.iter().find(|a| a.person == person && a.published.is_some()).and_then(|a| a.published);
        let count = |basis| scores.iter().filter(|score| score.basis == basis).count();
        PersonTotal {
            person: person.into(),
            attempt,
            share: share(paper, &points, &total),
            total,
            closed: closed_book(paper.date, published),
            published,
            blank: count(Basis::Blank),
            unmarked: count(Basis::Unmarked),
        }
    };
    let mut totals: Vec<PersonTotal> = persons.into_iter().map(one).collect();
    let flagged = |total: &PersonTotal| total.closed != ClosedBook::Closed;
    totals.sort_by(|a, b| flagged(a).cmp(&flagged(b)).then(b.total.points.total_cmp(&a.total.points)));
    totals
}

/// Σ points / Σ most over the items that counted: the mean of n · points / Σ most, whose error is clustered.
fn share(paper: &Paper, points: &HashMap<&str, f64>, total: &Total) -> Option<Difference> {
    let counts = |item: &&exam::paper::Item| match &item.group {
        None => true,
        Some(group) => total.choices.iter().any(|choice| choice.group == *group && choice.item == item.id),
    };
    let counted: Vec<&exam::paper::Item> = paper.items.iter().filter(counts).collect();
    let mut clusters: BTreeMap<&str, usize> = BTreeMap::new();
    let n = counted.len() as f64;
    let values: Vec<(usize, f64)> = counted
        .iter()
        .map(|item| {
            let next = clusters.len();
            let cluster = *clusters.entry(item.cluster.as_deref().unwrap_or(&item.id)).or_insert(next);
            (cluster, n * points.get(item.id.as_str()).copied().unwrap_or(0.0) / total.most)
        })
        .collect();
    student(&ByCluster::new(values), 0.05).map(|share| Difference { low: share.low.max(0.0), ..share })
}
