use exam::{Estimate, Verdict};

use crate::number::{percent, plural, points};
use crate::{Paper, Report};

/// The run in one sentence, from its first paper: what was learned, or that nothing was shown.
pub fn headline(report: &Report) -> String {
    let Some(paper) = report.papers.first() else {
        return format!("{} read {}; no exam was sat", report.model, report.title);
    };
    let Estimate { mean, low, high, .. } = paper.comparison.difference;
    let (before, after) = (&paper.comparison.before, &paper.comparison.after);
    if low > 0.0 {
        let wrong = before.n - before.right;
        format!(
            "The model learned {} of the {} that it could not answer",
            paper.comparison.changed.gained,
            plural(wrong, "question")
        )
    } else if high < 0.0 {
        format!(
            "The model got worse: it lost {} and gained {}",
            paper.comparison.changed.lost, paper.comparison.changed.gained
        )
    } else if before.right == after.right {
        format!("Nothing changed: {} of {} right before and after", after.right, plural(after.n, "question"))
    } else {
        let way = if mean < 0.0 { "down" } else { "up" };
        format!(
            "Nothing was shown: {} right before and {} after is {way} by less than this exam can tell from chance",
            before.right, after.right
        )
    }
}

/// From and to: `2 % → 88 %`.
pub(crate) fn change(paper: &Paper) -> String {
    format!("{} → {}", percent(paper.comparison.before.score), percent(paper.comparison.after.score))
}

/// How sure that is: difference, interval, standard error and denominators.
pub(crate) fn certainty(paper: &Paper) -> String {
    let Estimate { mean, standard_error, low, high, n, clusters, .. } = paper.comparison.difference;
    format!(
        "{} points, 95\u{a0}% interval {} to {}, standard error {:.1}, n = {} about {}",
        points(mean),
        points(low),
        points(high),
        100.0 * standard_error,
        plural(n, "question"),
        plural(clusters, "fact"),
    )
}

/// What the paper says about its bar, in plain words; without a bar what it says at all.
pub fn verdict(paper: &Paper) -> (&'static str, String) {
    let difference = &paper.comparison.difference;
    let Some(bar) = paper.bar else {
        let seen = if difference.low > 0.0 {
            "a gain that chance does not explain"
        } else if difference.high < 0.0 {
            "a loss that chance does not explain"
        } else {
            "no difference that could be told from chance"
        };
        return ("observed", format!("{seen}; nothing was claimed beforehand"));
    };
    let claim = if bar < 0.0 {
        format!("no more than {:.0} points lost", -100.0 * bar)
    } else {
        format!("at least {:.0} points gained", 100.0 * bar)
    };
    // Of choices both marks count; the one with the lower limit is the one that decides.
    let secondary = &paper.comparison.secondary;
    let by_byte = paper.comparison.choices && secondary.low < difference.low;
    let (difference, interval) = if by_byte {
        (secondary, "95\u{a0}% interval of the mark per byte")
    } else {
        (difference, "95\u{a0}% interval")
    };
    match paper.comparison.verdict(bar) {
        Verdict::Confirmed => ("confirmed", format!("{claim}, since the whole {interval} lies above {}", points(bar))),
        Verdict::Refuted => ("refuted", format!("{claim}, since the whole {interval} lies below {}", points(bar))),
        Verdict::Undecided => (
            "undecided",
            format!(
                "{claim}? The {interval} spans {}; an exam of this size sees differences from {:.1} points on",
                points(bar),
                100.0 * difference.detectable
            ),
        ),
    }
}
