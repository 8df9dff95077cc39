use std::fmt::Write;

use exam::calibration::{Agreement, Calibration, Interval, Severity};
use exam::grade::{Basis, Settled};
use exam::paper::{ClosedBook, Paper};
use report::{Section, Sheet, Table};

use super::{Graded, Grading, PersonTotal};

/// A cell of CSV: quoted where it must be, and never a formula.
fn cell(text: &str) -> String {
    let safe = if text.starts_with(['=', '+', '-', '@']) && text.parse::<f64>().is_err() {
        format!("'{text}")
    } else {
        text.into()
    };
    if safe.contains([',', '"', '\n', '\r']) { format!("\"{}\"", safe.replace('"', "\"\"")) } else { safe }
}

/// Every answer's score and how it came about.
pub(super) fn scores_csv(settled: &[Settled]) -> Vec<u8> {
    let mut text = String::from("person,item,attempt,score,max,basis,marks,failed,spread,code\n");
    for score in settled {
        let Settled { person, item, attempt, points, most, basis, marks, failed, spread, code, .. } = score;
        let (person, item, basis) = (cell(person), cell(item), basis_name(*basis));
        let _ = writeln!(text, "{person},{item},{attempt},{points},{most},{basis},{marks},{failed},{spread:.4},{code}");
    }
    text.into_bytes()
}

fn basis_name(basis: Basis) -> &'static str {
    match basis {
        Basis::Blank => "blank",
        Basis::Rule => "rule",
        Basis::Mean => "mean",
        Basis::ClosestTwo => "closest two",
        Basis::Discrepant => "discrepant",
        Basis::Unmarked => "unmarked",
    }
}

/// The page and the terminal's lines.
pub(super) fn sheet(paper: &Paper, graded: &Graded, asked: &Grading) -> Sheet {
    let mut sheet = Sheet::new(format!("{}, {}", paper.title, paper.subject), headline(graded));
    let noun = |n: usize, noun: &str| (n as u64, format!("{noun}{}", if n == 1 { "" } else { "s" }));
    sheet.read = vec![
        noun(graded.totals.len(), "sitting"),
        noun(paper.items.len(), "item"),
        noun(graded.settled.len(), "answer"),
        noun(graded.graders.iter().map(|grader| grader.marks).sum(), "mark"),
    ];

    let flagged = graded.totals.iter().filter(|total| total.closed != ClosedBook::Closed);
    let mut flags: Vec<String> = flagged.map(|total| format!("{}: {}", total.person, total.closed.says())).collect();
    // A person may have sat it several times.
    flags.sort();
    flags.dedup();
    sheet.notes = [flags, graded.notes.clone()].concat();
    sheet.sections.push(totals(paper, graded));
    let choices = choices(graded);
    if !choices.rows.is_empty() {
        let text = "Of elective items the best one counts; of equal ones the first of the paper.";
        sheet.sections.push(Section::new("Elective items").text(text).table(choices));
    }
    sheet.sections.push(kinds(paper, graded));
    sheet.sections.push(graders(graded, asked));
    if graded.settled.iter().any(|score| score.spread > asked.remark) {
        sheet.sections.push(discrepancies(graded, asked));
    }
    if let Some(calibration) = &graded.calibration {
        sheet.sections.extend(calibrated(calibration));
    }
    sheet
}

fn headline(graded: &Graded) -> String {
    let Some(best) = graded.totals.first() else { return "Nobody sat the paper".into() };
    let who = match graded.totals.len() {
        1 => String::new(),
        n => format!(" (the best of {n})"),
    };
    let flag = if best.closed == ClosedBook::Closed { "" } else { ", which does not count as closed-book" };
    format!("{}{who} has {:.1} of {} points{}{flag}", best.person, best.total.points, best.total.most, interval(best))
}

fn interval(total: &PersonTotal) -> String {
    total.share.map_or_else(String::new, |share| {
        format!(
            ", {:.1} % (95 % interval {:.1} to {:.1}, n = {} items)",
            100.0 * share.mean,
            100.0 * share.low,
            100.0 * share.high,
            share.n
        )
    })
}

fn totals(paper: &Paper, graded: &Graded) -> Section {
    let row = |total: &PersonTotal| {
        let limits = total.share.map_or("—".into(), |s| format!("{:.1} to {:.1}", 100.0 * s.low, 100.0 * s.high));
        let error = total.share.map_or("—".into(), |s| format!("{:.1}", 100.0 * s.standard_error));
        vec![
            total.person.clone(),
            total.attempt.to_string(),
            match total.closed {
                ClosedBook::Closed => "yes".into(),
                ClosedBook::After => "no".into(),
                ClosedBook::Unknown => "unknown".into(),
            },
            format!("{:.2}", total.total.points),
            total.total.most.to_string(),
            format!("{:.1}", 100.0 * total.total.points / total.total.most),
            error,
            limits,
            total.blank.to_string(),
            total.unmarked.to_string(),
        ]
    };
    let columns = ["person", "attempt", "closed book", "points", "of", "%", "±", "95 %", "blank", "unmarked"];
    Section::new("Points")
        .text(format!(
            "Exam of {}. Failed, empty (blank) and unmarked answers count as 0. Standard errors (±) and intervals are over \
             items, clustered by what they share; a \
             person whose weights became public on the day of the exam or later, or nobody knows when, stands below those who \
             count as closed-book.",
            paper.date
        ))
        .table(Table::new(columns, graded.totals.iter().map(row).collect()))
}

fn choices(graded: &Graded) -> Table {
    let rows = graded.totals.iter().flat_map(|total| {
        total.total.choices.iter().map(|choice| {
            let others: Vec<String> =
                choice.others.iter().map(|(item, points)| format!("{item}: {points:.2}")).collect();
            vec![
                total.person.clone(),
                choice.group.clone(),
                choice.item.clone(),
                format!("{:.2}", choice.points),
                others.join(", "),
            ]
        })
    });
    Table::new(["person", "group", "counted", "points", "others"], rows.collect())
}

fn kinds(paper: &Paper, graded: &Graded) -> Section {
    let mut rows = Vec::new();
    for kind in ["single", "multiple", "blank", "open", "essay"] {
        let of = |score: &&Settled| paper.item(&score.item).is_some_and(|item| item.kind.name() == kind);
        let own: Vec<&Settled> = graded.settled.iter().filter(of).collect();
        if own.is_empty() {
            continue;
        }
        let count = |basis: Basis| own.iter().filter(|score| score.basis == basis).count().to_string();
        let share = own.iter().map(|score| score.points / score.most).sum::<f64>() / own.len() as f64;
        let mut row = vec![kind.to_string(), own.len().to_string(), format!("{:.1}", 100.0 * share)];
        row.extend(
            [Basis::Rule, Basis::Mean, Basis::ClosestTwo, Basis::Discrepant, Basis::Blank, Basis::Unmarked].map(count),
        );
        rows.push(row);
    }
    let columns =
        ["type", "answers", "% of points", "by rule", "mean", "closest two", "discrepant", "blank", "unmarked"];
    Section::new("By type of item")
        .text("How scores came about: by the rule alone, as the mean of marks, or as the mean of the closest two after a further marking.")
        .table(Table::new(columns, rows))
}

fn graders(graded: &Graded, asked: &Grading) -> Section {
    let rows = graded.graders.iter().map(|line| {
        let first = line.first_failure.clone().unwrap_or_default();
        vec![
            line.grader.clone(),
            line.marks.to_string(),
            format!("{:.1}", 100.0 * line.mean),
            line.failed.to_string(),
            first,
        ]
    });
    let columns = ["grader", "marks", "% of points given", "failed", "first failure"];
    Section::new("Graders")
        .text(format!(
            "Nobody who marks learns whose answer it is, and each marks in an order of their own. Where no rule decides, at least {} \
             graders are asked for. A mark that cannot be read or gives more than there is counts as failed, not as 0.",
            asked.at_least
        ))
        .table(Table::new(columns, rows.collect()))
}

fn discrepancies(graded: &Graded, asked: &Grading) -> Section {
    let mut wide: Vec<&Settled> = graded.settled.iter().filter(|score| score.spread > asked.remark + 1e-9).collect();
    wide.sort_by(|a, b| b.spread.total_cmp(&a.spread));
    let rows = wide.iter().map(|score| {
        vec![
            score.code.clone(),
            score.item.clone(),
            format!("{:.0}", 100.0 * score.spread),
            basis_name(score.basis).into(),
            format!("{:.2}", score.points),
            score.most.to_string(),
        ]
    });
    let table = Table::new(["code", "item", "spread in %", "basis", "points", "of"], rows.collect()).file("scores.csv");
    Section::new("Answers whose graders differ")
        .text(format!(
            "{} of {} answers: marks lie more than {:.0} % of the item's points apart. After a further marking the mean of the closest \
             two of all marks counts, of equally close pairs the mean of all; without one the mean of all marks.",
            wide.len(),
            graded.settled.len(),
            100.0 * asked.remark
        ))
        .table(table)
}

fn calibrated(calibration: &Calibration) -> Vec<Section> {
    let coefficient = |interval: &Option<Interval>| {
        interval.map_or("—".into(), |i| format!("{:.2} [{:.2}, {:.2}]", i.value, i.low, i.high))
    };
    let row = |pair: &Agreement| {
        vec![
            pair.first.clone(),
            pair.second.clone(),
            pair.n.to_string(),
            format!("{:.0}", 100.0 * pair.same),
            coefficient(&pair.kappa),
            coefficient(&pair.absolute),
            coefficient(&pair.consistency),
            format!("{:+.1} [{:+.1}, {:+.1}]", 100.0 * pair.bias.mean, 100.0 * pair.bias.low, 100.0 * pair.bias.high),
            format!("{:+.0} to {:+.0}", 100.0 * pair.limits.0, 100.0 * pair.limits.1),
        ]
    };
    let columns = [
        "grader",
        "against",
        "n",
        "% same",
        "weighted κ",
        "ICC(2,1)",
        "ICC(3,1)",
        "bias in points of 100",
        "95 % of differences",
    ];
    let rows: Vec<Vec<String>> = calibration.people.iter().chain(&calibration.judges).map(row).collect();
    let alpha = calibration.alpha.map_or_else(String::new, |alpha| {
        format!(" Krippendorff's α of all graders is {:.2} [{:.2}, {:.2}].", alpha.value, alpha.low, alpha.high)
    });
    let mut sections = vec![
        Section::new("Judges against people")
            .text(format!(
                "{} answers to {} items that a person and another grader marked; {} blank answers are left out, {} failed marks are gaps. Marks are \
                 shares of the points; κ is weighted by squares over tenths; intervals draw items again.{alpha} People with each \
                 other come first: a judge cannot agree with them better than they do.",
                calibration.answers, calibration.items, calibration.blank, calibration.failed
            ))
            .table(Table::new(columns, rows)),
    ];
    match (&calibration.severity, &calibration.severity_fails) {
        (Some(severity), _) => sections.extend(severe(severity)),
        (None, Some(why)) => {
            sections.push(Section::new("Severity").text(format!("Severity cannot be estimated: {why}.")))
        }
        (None, None) => {}
    }
    sections
}

fn severe(severity: &Severity) -> Vec<Section> {
    let rows = severity.lines.iter().map(|line| {
        vec![
            line.grader.clone(),
            if line.human { "person".into() } else { "judge".into() },
            line.n.to_string(),
            format!("{:+.2}", line.severity),
            format!("{:.2}", line.error),
            format!("{:.2}", line.infit),
            format!("{:.2}", line.outfit),
            format!("{:.1}", 100.0 * line.fair),
        ]
    });
    let columns = ["grader", "who", "n", "severity", "standard error", "infit", "outfit", "fair average in %"];
    let p = |p: f64| if p < 0.001 { "< 0.001".into() } else { format!("{p:.3}") };
    let mut lines = Section::new("Severity")
        .text(format!(
            "Many-facet Rasch model of {} answers on {} levels; severity in logits, higher is stricter; the fair average is what a grader would \
             give an average answer. That all are equally severe: p {}{}.{}",
            severity.answers,
            severity.levels,
            if severity.equal < 0.001 { "" } else { "= " },
            p(severity.equal),
            if severity.converged { "" } else { " The fit did not converge." }
        ))
        .table(Table::new(columns, rows.collect()));
    if let Some(figure) = super::draw::severity(severity) {
        lines = lines.figure(figure.bare(), figure.caption());
    }
    let rows = severity.drift.iter().map(|drift| {
        vec![
            drift.grader.clone(),
            format!("{} + {}", drift.n.0, drift.n.1),
            format!("{:+.2}", drift.change),
            format!("{:.2}", drift.error),
            p(drift.p),
            p(drift.holm),
        ]
    });
    let table = Table::new(["grader", "marks", "change", "standard error", "p", "p (Holm)"], rows.collect());
    let drift = Section::new("Drift").text(
        "Severity in the second half of what a grader marked less that in the first, in logits: below 0 the grader became milder.",
    );
    vec![lines, drift.table(table)]
}
