use exam::calibration::Severity;

/// Severity of graders as a picture with its caption; none where nobody's is finite.
pub(super) fn severity(severity: &Severity) -> Option<plot::Figure> {
    let rater = |line: &exam::calibration::SeverityLine| plot::Rater {
        label: line.grader.clone(),
        severity: line.severity,
        error: line.error,
        observed: line.mean,
        fair: line.fair,
        n: line.n,
    };
    let picture = plot::Severity {
        title: "Severity of the graders".into(),
        unit: "logits".into(),
        raters: severity.lines.iter().map(rater).collect(),
    };
    plot::severity(&picture).ok()
}
