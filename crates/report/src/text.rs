use crate::headline::{certainty, change, headline, verdict};
use crate::number::{count, duration, percent, plural, points};
use crate::{Flow, Paper, Report};

/// The report in a dozen plain lines for a terminal. Control characters in names that came from
/// outside are left out.
pub fn text(report: &Report) -> String {
    let mut lines = vec![format!("{}.", headline(report))];
    for note in &report.notes {
        lines.push(format!("note: {note}"));
    }
    for paper in &report.papers {
        lines.push(format!("  {}, {}: {} ({})", paper.title, paper.mode(), change(paper), certainty(paper)));
        if !paper.comparison.choices {
            let (before, after) = (&paper.comparison.before, &paper.comparison.after);
            let (before, after) = (percent(before.contained), percent(after.contained));
            let exam::Estimate { low, high, .. } = paper.comparison.contained;
            lines.push(format!(
                "    the accepted answer somewhere in what was said: {before} → {after} (95 % interval {} to {})",
                points(low),
                points(high)
            ));
        }
        let (word, reason) = verdict(paper);
        lines.push(format!("    {word}: {reason}{}", left_out(paper)));
        lines.extend(paper.growth.iter().map(|growth| format!("    {}", growth.sentence())));
    }
    if let Some(practice) = &report.practice {
        lines.push(format!("  practice on {}: {}", practice.questions, practice.verdict()));
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
    let missed = |tally: &exam::Tally, when: &str| {
        let counts = [(tally.abstained, "abstention"), (tally.failed, "failure")];
        let said: Vec<_> = counts.iter().filter(|c| c.0 > 0).map(|(number, noun)| plural(*number, noun)).collect();
        if said.is_empty() { None } else { Some(format!("{} {when}", said.join(" and "))) }
    };
    let parts = [missed(&paper.comparison.before, "before"), missed(&paper.comparison.after, "after")];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { String::new() } else { format!("; counted as wrong: {}", parts.join(", ")) }
}

pub(crate) fn overlap_line(overlap: &exam::Overlap) -> String {
    format!(
        "exam against training wordings: {} of {} questions share eight words in a row (longest run {}), {} share a \
         template, {} share more than half their words (entity and answer masked)",
        overlap.sharing, overlap.items, overlap.longest, overlap.templates, overlap.over_half
    )
}
