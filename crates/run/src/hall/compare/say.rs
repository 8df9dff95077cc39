use exam::statistics::Difference;
use exam::{By, Pair, Standing, Standings};
use report::{Section, Sheet, Table};

use super::record::against;
use super::{Compared, Count};

/// A share as per cent.
fn percent(share: f64) -> String {
    format!("{:.1}", 100.0 * share)
}

/// A difference of shares in points, with a true minus sign.
fn points(share: f64) -> String {
    let text = format!("{:+.1}", 100.0 * share);
    if matches!(text.as_str(), "+0.0" | "-0.0") { "0.0".into() } else { text.replace('-', "−") }
}

fn p_value(p: Option<f64>) -> String {
    match p {
        None => "—".into(),
        Some(p) if p < 0.001 => "<0.001".into(),
        Some(p) => format!("{p:.3}"),
    }
}

fn or_dash<T>(value: Option<T>, say: impl FnOnce(T) -> String) -> String {
    value.map_or("—".into(), say)
}

/// The sheet that page and terminal are drawn from.
pub(super) fn sheet(compared: &Compared, figures: &[(&'static str, plot::Figure)]) -> Sheet {
    let mut sheet = Sheet::new("Comparison", headline(compared));
    let noun = |n: usize, noun: &str| (n as u64, format!("{noun}{}", if n == 1 { "" } else { "s" }));
    sheet.read =
        vec![noun(compared.names.len(), "person"), noun(compared.items, "item"), noun(compared.pairs.len(), "pair")];
    sheet.notes = compared.notes.clone();
    let figure = |name: &str| figures.iter().find(|(other, _)| *other == name).map(|(_, figure)| figure.bare());
    let mut persons = Section::new("Persons").text(how(compared)).table(person_table(compared));
    if let Some(svg) = figure("forest") {
        persons = persons.figure(svg, caption(compared));
    }
    sheet.sections.push(persons);
    if compared.persons.iter().any(|person| person.attempts.is_some()) {
        sheet.sections.push(attempts(compared));
    }
    if !compared.groups.is_empty() {
        sheet.sections.push(groups(compared));
    }
    if !compared.subjects.is_empty() {
        sheet.sections.push(subjects(compared));
    }
    let mut power = Section::new("What this exam can see").text(power(compared));
    if let Some(svg) = figure("power") {
        power = power.figure(svg, "Chance that a true difference of the baseline and a person is told from 0, by a t test at the level of the family but for one pair alone.");
    }
    sheet.sections.push(power);
    sheet.sections.push(Section::new("All pairs").text(pair_text(compared)).table(pair_table(compared)));
    sheet
}

/// What a terminal is told: all but the list of pairs.
pub(super) fn text(sheet: &Sheet) -> String {
    let mut short = sheet.clone();
    short.sections.retain(|section| section.heading != "All pairs");
    report::sheet_text(&short)
}

fn headline(compared: &Compared) -> String {
    let (best, n) = (&compared.persons[0], compared.pairs.iter().filter(|pair| pair.holm.is_some()).count());
    let standing = &best.standing;
    let score = format!(
        "{} % right{} on {} items",
        percent(standing.score),
        standing.interval.map_or(String::new(), |(low, high)| format!(
            " ({:.0} % interval {} to {})",
            100.0 * (1.0 - compared.alpha),
            percent(low),
            percent(high)
        )),
        standing.n
    );
    let family = format!("{} pair{} at {} %, Holm", n, if n == 1 { "" } else { "s" }, 100.0 * compared.alpha);
    let tied: Vec<&str> = compared.persons[1..]
        .iter()
        .filter(|other| shares(&best.standing.letters, &other.standing.letters))
        .map(|other| other.name.as_str())
        .collect();
    match tied.as_slice() {
        [] => format!("{} is best: {score}, told apart from everybody else ({family}).", best.name),
        [one] => {
            format!("{} has the highest score, {score}, but cannot be told apart from {one} ({family}).", best.name)
        }
        many => format!(
            "{} has the highest score, {score}, but cannot be told apart from {} others ({family}).",
            best.name,
            many.len()
        ),
    }
}

/// Whether two persons have a letter in common; a letter may be followed by a number.
fn shares(a: &str, b: &str) -> bool {
    let split = |letters: &str| -> Vec<String> {
        let mut all: Vec<String> = Vec::new();
        for c in letters.chars() {
            match all.last_mut() {
                Some(last) if c.is_ascii_digit() => last.push(c),
                _ => all.push(c.to_string()),
            }
        }
        all
    };
    let b = split(b);
    split(a).iter().any(|letter| b.contains(letter))
}

fn how(compared: &Compared) -> String {
    let what = match compared.count {
        Count::Mean => "the mean share of an item's points".into(),
        Count::Full => "the share of items with all points".into(),
        Count::Pass(k) => format!("pass@{k}"),
    };
    let clusters = if compared.clustered == 0 {
        "the logs name no clusters of items (passages, facts), so each item counts as independent".into()
    } else {
        format!("errors are clustered: {} of {} items name their cluster", compared.clustered, compared.items)
    };
    format!(
        "A score is {what}; {clusters}. Persons who share a letter cannot be told apart: no two of a group differ by \
         Holm's adjusted p over all pairs at {} %. That is no proof that they are equal. Differences are to {}, item by \
         item.{}",
        100.0 * compared.alpha,
        compared.names[compared.baseline],
        if compared.persons.iter().any(|person| person.against.as_ref().is_some_and(|pair| pair.same_base)) {
            " † marks a variant of the baseline's base model: both are dependent, and the difference says nothing of other models."
        } else {
            ""
        }
    )
}

fn standing_cells(standing: &Standing) -> [String; 4] {
    [
        standing.n.to_string(),
        percent(standing.score),
        or_dash(standing.interval, |(low, high)| format!("[{}, {}]", percent(low), percent(high))),
        standing.letters.clone(),
    ]
}

/// Difference, its standard error, adjusted p and minimum detectable effect.
fn against_cells(pair: Option<&Pair>) -> [String; 4] {
    let difference = pair.and_then(|pair| pair.difference);
    [
        or_dash(difference, |difference| points(difference.mean)),
        or_dash(difference, |difference| percent(difference.standard_error)),
        p_value(pair.and_then(|pair| pair.holm)),
        or_dash(pair.and_then(|pair| pair.detectable), percent),
    ]
}

fn person_table(compared: &Compared) -> Table {
    let row = |person: &super::PersonLine| {
        let dependent = person.against.as_ref().is_some_and(|pair| pair.same_base);
        let name = format!("{}{}", person.name, if dependent { " †" } else { "" });
        let mut row = vec![name];
        row.extend(standing_cells(&person.standing));
        if person.standing.person == compared.baseline {
            row.extend(["baseline", "", "", ""].map(String::from));
        } else {
            row.extend(against_cells(person.against.as_ref()));
        }
        row
    };
    let interval = format!("{:.0} %", 100.0 * (1.0 - compared.alpha));
    Table::new(
        ["person", "n", "score %", interval.as_str(), "tied", "difference", "SE", "p (Holm)", "detectable"],
        compared.persons.iter().map(row).collect(),
    )
    .file("persons.csv")
}

fn caption(compared: &Compared) -> String {
    format!(
        "Score less that of {}, in points, over common items (n = {}); bars are {:.0} % intervals of each difference \
         alone, clustered.",
        compared.names[compared.baseline],
        range(compared.persons.iter().filter_map(|person| Some(person.against.as_ref()?.difference?.n))),
        100.0 * (1.0 - compared.alpha)
    )
}

fn range(numbers: impl Iterator<Item = usize>) -> String {
    let all: Vec<usize> = numbers.collect();
    match (all.iter().min(), all.iter().max()) {
        (Some(low), Some(high)) if low == high => low.to_string(),
        (Some(low), Some(high)) => format!("{low} to {high}"),
        _ => "0".into(),
    }
}

fn attempts(compared: &Compared) -> Section {
    let rows = compared.persons.iter().filter_map(|person| {
        let found = person.attempts?;
        Some(vec![
            person.name.clone(),
            found.items.to_string(),
            found.attempts.to_string(),
            percent(found.mean),
            percent(found.standard_error),
            percent(found.of_attempts),
            format!("{:.4}", found.between),
            format!("{:.4}", found.within),
        ])
    });
    let columns =
        ["person", "items", "attempts", "score %", "SE", "of it attempts", "variance of items", "variance of attempts"];
    Section::new("Attempts")
        .text(
            "Items were tried several times. The standard error of a score holds the choice of items and chance in \
             attempts; the second part is what more attempts at the same items would take away. Here each item counts as \
             independent.",
        )
        .table(Table::new(columns, rows.collect()))
}

fn groups(compared: &Compared) -> Section {
    let rows = compared.groups.iter().map(|line| {
        let limits = |d: Difference| format!("[{}, {}]", points(d.low), points(d.high));
        vec![
            format!("{} − {}", line.first, line.second),
            format!("{} and {}", line.persons.0, line.persons.1),
            format!("{} and {}", line.bases.0, line.bases.1),
            or_dash(line.difference, |d| points(d.mean)),
            or_dash(line.difference, |d| percent(d.standard_error)),
            or_dash(line.difference, limits),
            p_value(line.holm),
        ]
    });
    let interval = format!("{:.0} %", 100.0 * (1.0 - compared.alpha));
    let columns = ["groups", "persons", "base models", "difference", "SE", interval.as_str(), "p (Holm)"];
    Section::new("Groups")
        .text(
            "Groups are those that the logs name. Errors are clustered by item and by base model at once, so a group's \
             variants of one base count as one; a group with fewer than two base models has no error.",
        )
        .table(Table::new(columns, rows.collect()))
}

fn subjects(compared: &Compared) -> Section {
    let rows = compared.subjects.iter().flat_map(|(name, standings): &(String, Standings)| {
        standings.persons.iter().map(move |standing| {
            let mut row = vec![name.clone(), compared.names[standing.person].clone()];
            row.extend(standing_cells(standing));
            if standing.person == compared.baseline {
                row.extend(["baseline", "", "", ""].map(String::from));
            } else {
                row.extend(against_cells(against(standings, standing.person, compared.baseline).as_ref()));
            }
            row
        })
    });
    let interval = format!("{:.0} %", 100.0 * (1.0 - compared.alpha));
    let columns =
        ["subject", "person", "n", "score %", interval.as_str(), "tied", "difference", "SE", "p (Holm)", "detectable"];
    Section::new("Subjects")
        .text("Letters hold within a subject; the pairs of all subjects together are one family for the adjusted p.")
        .table(Table::new(columns, rows.collect()).file("persons.csv"))
}

fn power(compared: &Compared) -> String {
    let effects: Vec<f64> = compared.pairs.iter().filter_map(|pair| pair.detectable).collect();
    let (low, high) = effects.iter().fold((f64::INFINITY, 0.0_f64), |(low, high), x| (low.min(*x), high.max(*x)));
    if effects.is_empty() {
        return "No pair differs on any common item, so no detectable effect can be stated.".into();
    }
    let mut text = format!(
        "The minimum detectable effect of a pair is the true difference that a test of this pair alone at {} % sees in 80 of \
         100 such exams: {} to {} points here. Smaller differences are mostly missed, so a tie may hide them; adjusting for \
         {} pairs asks for more.",
        100.0 * compared.alpha,
        percent(low),
        percent(high),
        compared.pairs.len()
    );
    if let Some(check) = &compared.power {
        text += &format!(
            " Checked by simulation for {} and {}: {} points were seen in {} % of {} exams drawn from theirs (standard error \
             {}).",
            compared.names[check.first],
            compared.names[check.second],
            percent(check.effect),
            percent(check.simulated),
            check.exams,
            percent(check.standard_error)
        );
    }
    text
}

fn pair_text(compared: &Compared) -> String {
    let flips = compared.pairs.iter().filter(|pair| pair.by == Some(By::SignFlip)).count();
    let tests = compared.pairs.iter().filter(|pair| pair.by == Some(By::T)).count();
    let none = compared.pairs.iter().filter(|pair| pair.by.is_none()).count();
    let mut text = format!(
        "p counts every flip of the signs of whole clusters (mid-p) for {flips} pairs, and is of Student's t of the clustered mean for \
         {tests}, whose flips cannot all be counted; the file holds both, with bootstrap limits and McNemar's test."
    );
    if none > 0 {
        text += &format!(" {none} pairs have fewer than two common clusters and are not tested.");
    }
    text
}

fn pair_table(compared: &Compared) -> Table {
    let name = |at: usize| compared.names[at].clone();
    let row = |pair: &Pair| {
        vec![
            format!("{} − {}{}", name(pair.first), name(pair.second), if pair.same_base { " †" } else { "" }),
            or_dash(pair.difference, |d| d.n.to_string()),
            (pair.only_first + pair.only_second).to_string(),
            or_dash(pair.difference, |d| points(d.mean)),
            or_dash(pair.difference, |d| percent(d.standard_error)),
            or_dash(pair.difference, |d| format!("[{}, {}]", points(d.low), points(d.high))),
            format!("{} : {}", pair.won, pair.lost),
            p_value(pair.p),
            p_value(pair.holm),
            p_value(pair.benjamini_hochberg),
        ]
    };
    let interval = format!("{:.0} %", 100.0 * (1.0 - compared.alpha));
    let columns = ["pair", "n", "not common", "difference", "SE", interval.as_str(), "won : lost", "p", "Holm", "BH"];
    Table::new(columns, compared.pairs.iter().map(row).collect()).file("pairs.csv")
}

/// All pairs, with every number.
pub(super) fn pairs(compared: &Compared) -> Vec<u8> {
    let head = "subject,first,second,same_base,n,clusters,only_first,only_second,won,lost,difference,standard_error,low,high,\
                t_p,sign_flip_p,sign_flip_mid_p,sign_flip_exact,mcnemar_mid_p,bootstrap_low,bootstrap_high,bootstrap_limits,p,p_by,holm,\
                benjamini_hochberg,detectable";
    let mut lines = vec![head.split(',').map(String::from).collect()];
    let overall = compared.pairs.iter().map(|pair| ("", pair));
    let of_subjects = compared
        .subjects
        .iter()
        .flat_map(|(name, standings)| standings.pairs.iter().map(move |pair| (name.as_str(), pair)));
    for (subject, pair) in overall.chain(of_subjects) {
        let of = |pick: fn(&Difference) -> f64| number(pair.difference.as_ref().map(pick));
        lines.push(vec![
            subject.into(),
            compared.names[pair.first].clone(),
            compared.names[pair.second].clone(),
            pair.same_base.to_string(),
            pair.difference.map_or(0, |d| d.n).to_string(),
            pair.difference.map_or(0, |d| d.clusters).to_string(),
            pair.only_first.to_string(),
            pair.only_second.to_string(),
            pair.won.to_string(),
            pair.lost.to_string(),
            of(|d| d.mean),
            of(|d| d.standard_error),
            of(|d| d.low),
            of(|d| d.high),
            of(|d| d.p),
            number(pair.sign_flip.map(|flip| flip.p)),
            number(pair.sign_flip.map(|flip| flip.mid)),
            pair.sign_flip.map_or(String::new(), |flip| flip.exact.to_string()),
            number(pair.mcnemar.map(|test| test.mid)),
            number(pair.bootstrap.map(|drawn| drawn.low)),
            number(pair.bootstrap.map(|drawn| drawn.high)),
            pair.bootstrap.map_or(String::new(), |drawn| format!("{:?}", drawn.limits).to_lowercase()),
            number(pair.p),
            pair.by.map_or("", |by| if by == By::T { "t" } else { "sign-flip" }).into(),
            number(pair.holm),
            number(pair.benjamini_hochberg),
            number(pair.detectable),
        ]);
    }
    csv(&lines)
}

/// All persons, and by subject.
pub(super) fn persons(compared: &Compared) -> Vec<u8> {
    let head = "subject,person,base,group,n,clusters,score,standard_error,low,high,tied";
    let mut lines = vec![head.split(',').map(String::from).collect()];
    let overall = compared.persons.iter().map(|person| ("", &person.standing));
    let of_subjects = compared
        .subjects
        .iter()
        .flat_map(|(name, standings)| standings.persons.iter().map(move |standing| (name.as_str(), standing)));
    for (subject, standing) in overall.chain(of_subjects) {
        let person = compared.persons.iter().find(|person| person.standing.person == standing.person);
        let of = |pick: fn(&super::PersonLine) -> Option<&String>| person.and_then(pick).cloned().unwrap_or_default();
        lines.push(vec![
            subject.into(),
            compared.names[standing.person].clone(),
            of(|person| person.base.as_ref()),
            of(|person| person.group.as_ref()),
            standing.n.to_string(),
            standing.clusters.to_string(),
            standing.score.to_string(),
            number(standing.standard_error),
            number(standing.interval.map(|(low, _)| low)),
            number(standing.interval.map(|(_, high)| high)),
            standing.letters.clone(),
        ]);
    }
    csv(&lines)
}

fn number(value: Option<f64>) -> String {
    value.map_or(String::new(), |value| value.to_string())
}

/// Lines of cells as CSV; memory never refuses them.
pub(in crate::hall) fn csv(lines: &[Vec<String>]) -> Vec<u8> {
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    lines.iter().for_each(|line| drop(writer.write_record(line)));
    writer.into_inner().unwrap_or_default()
}
