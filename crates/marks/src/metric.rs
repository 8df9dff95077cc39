use crate::Result;
use crate::intake::Intake;

/// Metrics in the order in which they are taken where a log has several and none is asked for.
pub const METRICS: &[&str] = &[
    "exact_match",
    "acc",
    "acc_norm",
    "em",
    "quasi_exact_match",
    "prefix_exact_match",
    "quasi_prefix_exact_match",
    "accuracy",
    "correct",
    "is_correct",
    "pass@1",
    "pass_at_1",
    "pass",
    "prompt_level_strict_acc",
    "math_equiv",
    "f1",
    "f1_score",
    "score",
    "rougeL",
    "rouge_l",
    "bleu",
];

/// The metric to take: the one that is asked for, the first of [`METRICS`] that is there, or the first
/// that is there.
pub(crate) fn choose(names: &[&str], intake: &mut Intake, line: Option<u64>) -> Result<Option<String>> {
    if let Some(asked) = &intake.options.metric {
        return Ok(names.contains(&asked.as_str()).then(|| asked.clone()));
    }
    let usual = METRICS.iter().find(|metric| names.contains(metric)).or(names.first()).map(|name| name.to_string());
    if let Some(usual) = usual.as_ref().filter(|_| names.len() > 1) {
        let detail = format!("scores were given by {}; taken: {usual}", names.join(", "));
        intake.choice(line, "several-metrics", detail);
    }
    Ok(usual)
}
