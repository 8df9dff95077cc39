use std::collections::BTreeSet;
use std::path::PathBuf;

use exam::statistics::{Attempts, Difference, groups};
use exam::{Pair, Standings};
use serde::Serialize;

use super::{Count, Settings, Table};

/// A person, and how it stands against the baseline.
#[derive(Debug, Clone, Serialize)]
pub struct PersonLine {
    /// Its name.
    pub name: String,
    /// Its base model, if it is known.
    pub base: Option<String>,
    /// Its group, if it is known.
    pub group: Option<String>,
    /// Score, interval, letters of the groups that it is tied with.
    pub standing: exam::Standing,
    /// What of its uncertainty is chance in attempts; none without a second attempt.
    pub attempts: Option<Attempts>,
    /// The pair with the baseline, seen from this person; none for the baseline itself.
    pub against: Option<Pair>,
}

/// Two groups of persons.
#[derive(Debug, Clone, Serialize)]
pub struct GroupLine {
    /// One group.
    pub first: String,
    /// The other.
    pub second: String,
    /// Persons of each.
    pub persons: (usize, usize),
    /// Independent base models of each.
    pub bases: (usize, usize),
    /// Mean of the first less that of the second, errors clustered by item and by base model at once; none
    /// where a group has fewer than two bases.
    pub difference: Option<Difference>,
    /// Its p, adjusted by Holm over all pairs of groups.
    pub holm: Option<f64>,
}

/// The formula of power, held against simulation.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct PowerCheck {
    /// A person by place in [`Compared::names`].
    pub first: usize,
    /// Another.
    pub second: usize,
    /// Their minimum detectable effect, which the formula gives a power of 0.8.
    pub effect: f64,
    /// Share of simulated exams that tell it from 0.
    pub simulated: f64,
    /// Its standard error.
    pub standard_error: f64,
    /// Exams that were simulated.
    pub exams: usize,
}

/// All that was found.
#[derive(Debug, Clone, Serialize)]
pub struct Compared {
    /// Persons; numbers below are places in this list.
    pub names: Vec<String>,
    /// The person whom all are held against.
    pub baseline: usize,
    /// Level of tests and intervals.
    pub alpha: f64,
    /// What attempts counted.
    pub count: Count,
    /// Items that somebody met.
    pub items: usize,
    /// Items that everybody met.
    pub common: usize,
    /// Items whose cluster the logs tell; the others count as independent.
    pub clustered: usize,
    /// Persons, best first.
    pub persons: Vec<PersonLine>,
    /// All pairs.
    pub pairs: Vec<Pair>,
    /// Groups of persons no two of whom are told apart.
    pub tied: Vec<Vec<usize>>,
    /// The same for each subject, whose pairs are a family together.
    pub subjects: Vec<(String, Standings)>,
    /// Groups that the logs name, each against each.
    pub groups: Vec<GroupLine>,
    /// The check of power.
    pub power: Option<PowerCheck>,
    /// What a reader must know.
    pub notes: Vec<String>,
    /// What was written.
    pub files: Vec<PathBuf>,
    /// The same in lines for a terminal.
    #[serde(skip)]
    pub text: String,
}

impl Compared {
    pub(super) fn new(
        table: &Table,
        standings: Standings,
        subjects: Vec<(String, Standings)>,
        baseline: usize,
        power: Option<PowerCheck>,
        notes: Vec<String>,
        settings: &Settings,
    ) -> Self {
        let line = |standing: &exam::Standing| PersonLine {
            name: table.names[standing.person].clone(),
            base: table.base_names[standing.person].clone(),
            group: table.groups[standing.person].clone(),
            standing: standing.clone(),
            attempts: table.attempts[standing.person],
            against: against(&standings, standing.person, baseline),
        };
        Self {
            names: table.names.clone(),
            baseline,
            alpha: settings.pairing.alpha,
            count: settings.count,
            items: table.items.len(),
            common: table.common().len(),
            clustered: table.clustered,
            persons: standings.persons.iter().map(line).collect(),
            groups: group_lines(table, settings.pairing.alpha),
            pairs: standings.pairs,
            tied: standings.tied,
            subjects,
            power,
            notes,
            files: Vec::new(),
            text: String::new(),
        }
    }
}

/// A person's pair with the baseline, turned so that the person comes first.
pub(super) fn against(standings: &Standings, person: usize, baseline: usize) -> Option<Pair> {
    let (pair, straight) = standings.pair(person, baseline)?;
    Some(if straight { pair.clone() } else { pair.turned() })
}

/// Every pair of the groups that the logs name.
fn group_lines(table: &Table, alpha: f64) -> Vec<GroupLine> {
    let names: Vec<&String> = table.groups.iter().flatten().collect::<BTreeSet<_>>().into_iter().collect();
    let members = |name: &str| -> Vec<usize> {
        (0..table.names.len()).filter(|&person| table.groups[person].as_deref() == Some(name)).collect()
    };
    let bases = |members: &[usize]| members.iter().map(|&person| table.bases[person]).collect::<BTreeSet<_>>().len();
    let mut lines = Vec::new();
    for (at, first) in names.iter().enumerate() {
        for second in &names[at + 1..] {
            let (a, b) = (members(first), members(second));
            lines.push(GroupLine {
                first: first.to_string(),
                second: second.to_string(),
                persons: (a.len(), b.len()),
                bases: (bases(&a), bases(&b)),
                difference: groups(&table.of_groups(first, second), alpha),
                holm: None,
            });
        }
    }
    let p: Vec<f64> = lines.iter().filter_map(|line| line.difference).map(|difference| difference.p).collect();
    let tested = lines.iter_mut().filter(|line| line.difference.is_some());
    tested.zip(irt::significance::holm(&p)).for_each(|(line, holm)| line.holm = Some(holm));
    lines
}
