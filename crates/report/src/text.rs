use crate::headline::{figures, headline, verdict};
use crate::number::{count, duration, plural};
use crate::{Flow, Paper, Report};

/// The report in a dozen plain lines for a terminal. Control characters in names that came from
/// outside are left out.
pub fn text(report: &Report) -> String {
    let mut lines = vec![format!("{}.", headline(report))];
    for note in &report.notes {
        lines.push(format!("note: {note}"));
    }
    for paper in &report.papers {
        lines.push(format!("  {}, {}", paper.title, figures(paper)));
        let (word, reason) = verdict(paper);
        lines.push(format!("    {word}: {reason}{}", left_out(paper)));
    }
    let sum = |number: fn(&crate::DocumentLine) -> u64| count(report.documents.iter().map(number).sum());
    lines.push(format!(
        "  read {} documents, {} sentences; {} facts found, {} taken",
        count(report.documents.len() as u64),
        sum(|d| d.sentences),
        sum(|d| d.proposed),
        sum(|d| d.taken)
    ));
    lines.extend(report.flow.iter().map(|flow| format!("  {}", flow_line(flow))));
    if let Some(overlap) = &report.overlap {
        lines.push(format!("  {}", overlap_line(overlap)));
    }
    let seconds: f64 = report.costs.iter().map(|cost| cost.seconds).sum();
    let tokens: u64 = report.costs.iter().map(|cost| cost.usage.total()).sum();
    lines.push(format!("  took {} and {} tokens", duration(seconds), count(tokens)));
    let clean = |line: String| line.chars().filter(|c| !c.is_control()).collect::<String>().replace('\u{a0}', " ");
    lines.into_iter().map(clean).collect::<Vec<_>>().join("\n")
}

/// `training samples: 612 asked = 480 delivered + 90 duplicate + 42 unsupported`.
pub(crate) fn flow_line(flow: &Flow) -> String {
    let mut line = format!("{}: {} asked = {} delivered", flow.name, count(flow.asked), count(flow.delivered));
    for (reason, number) in &flow.drops {
        line += &format!(" + {} {reason}", count(*number));
    }
    match flow.unaccounted() {
        0 => line,
        missing => format!("{line} — does not add up: {missing} unaccounted for"),
    }
}

/// Failures and abstentions, if there were any.
pub(crate) fn left_out(paper: &Paper) -> String {
    let (before, after) = (&paper.comparison.before, &paper.comparison.after);
    if before.failed + after.failed + before.abstained + after.abstained == 0 {
        return String::new();
    }
    let missed = |tally: &exam::Tally| {
        format!("{} and {}", plural(tally.abstained, "abstention"), plural(tally.failed, "failure"))
    };
    format!("; counted as wrong: {} before, {} after", missed(before), missed(after))
}

pub(crate) fn overlap_line(overlap: &exam::Overlap) -> String {
    format!(
        "exam against training wordings: {} of {} questions share eight words in a row (longest run {}), {} share a \
         template, {} share more than half their words (entity and answer masked)",
        overlap.sharing, overlap.items, overlap.longest, overlap.templates, overlap.over_half
    )
}
