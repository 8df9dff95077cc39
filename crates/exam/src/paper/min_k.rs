use lm::TokenLogprob;

/// Min-k % probability (Shi et al. 2024): the mean log-probability, in nats, of the `share` of a text's
/// tokens that are least likely, of at least one. A text that was learned has few tokens that surprise,
/// so it lies higher. None without a token.
pub fn min_k(logprobs: &[f64], share: f64) -> Option<f64> {
    lowest(logprobs.to_vec(), share)
}

/// Min-k %++ (Zhang et al. 2025): the same over (log p(x) − μ) / σ, with μ = E[log p(z)] and σ its standard
/// deviation under the model's own distribution at the place. None without a token whose alternatives are
/// told.
///
/// Only the most probable tokens are told. What they leave of the probability, r, counts as if it lay on
/// tokens as probable as the least of them: exact where they are all, and else μ is too high by at most
/// r times the distance to the tail's true log-probability. The second number is the mean of r, in [0, 1].
pub fn min_k_plus(tokens: &[TokenLogprob], share: f64) -> Option<(f64, f64)> {
    let places: Vec<(f64, f64)> = tokens.iter().filter_map(normalised).collect();
    let tail = places.iter().map(|(_, tail)| tail).sum::<f64>() / places.len().max(1) as f64;
    Some((lowest(places.into_iter().map(|(value, _)| value).collect(), share)?, tail))
}

/// (log p − μ) / σ at a place, and the probability that its alternatives leave.
fn normalised(token: &TokenLogprob) -> Option<(f64, f64)> {
    let mut told: Vec<(f64, f64)> =
        token.top.iter().map(|other| f64::from(other.logprob)).map(|log| (log.exp(), log)).collect();
    let least = told.iter().map(|(_, log)| *log).fold(f64::INFINITY, f64::min);
    let rest = (1.0 - told.iter().map(|(p, _)| p).sum::<f64>()).clamp(0.0, 1.0);
    if told.is_empty() {
        return None;
    }
    told.push((rest, least));
    let mean: f64 = told.iter().filter(|(p, _)| *p > 0.0).map(|(p, log)| p * log).sum();
    let variance: f64 = told.iter().filter(|(p, _)| *p > 0.0).map(|(p, log)| p * (log - mean).powi(2)).sum();
    // Where the model is sure of one token, nothing varies and nothing can be told.
    (variance > 1e-12).then(|| ((f64::from(token.logprob) - mean) / variance.sqrt(), rest))
}

fn lowest(mut values: Vec<f64>, share: f64) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    values.sort_by(f64::total_cmp);
    let count = ((values.len() as f64 * share).floor() as usize).clamp(1, values.len());
    Some(values[..count].iter().sum::<f64>() / count as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lm::{Alternative, LogprobScale};

    #[test]
    fn the_least_likely_tokens_are_averaged() {
        let logprobs = [-1.0, -8.0, -0.5, -3.0, -2.0, -0.1, -0.2, -5.0, -0.3, -0.4];
        assert_eq!(min_k(&logprobs, 0.2), Some(-6.5));
        assert_eq!(min_k(&logprobs, 0.01), Some(-8.0));
        assert!((min_k(&logprobs, 1.0).expect("tokens") + 2.05).abs() < 1e-12);
        assert_eq!(min_k(&[], 0.2), None);
    }

    #[test]
    fn the_normalised_form_is_that_of_the_whole_distribution_where_it_is_told() {
        let token = |logprob: f64, told: &[f64]| TokenLogprob {
            id: None,
            text: "x".into(),
            logprob: logprob as f32,
            greedy: None,
            scale: LogprobScale::Raw,
            top: told.iter().map(|p| Alternative { id: None, text: "x".into(), logprob: p.ln() as f32 }).collect(),
        };
        // By hand: p = ½, ¼, ¼ gives μ = −1.5 ln 2 and σ = ½ ln 2; ¼ lies at (−2 + 1.5) / 0.5 = −1, ½ at +1.
        let whole = [0.5, 0.25, 0.25];
        let places = [token(0.25_f64.ln(), &whole), token(0.5_f64.ln(), &whole)];
        let (value, tail) = min_k_plus(&places, 0.5).expect("told");
        assert!((value + 1.0).abs() < 1e-5 && tail < 1e-6, "{value} {tail}");
        assert!(min_k_plus(&places, 1.0).expect("told").0.abs() < 1e-5);
        // Told only in part: ½ and ¼, the rest of ¼ counts at the least one: the same.
        let (part, tail) = min_k_plus(&[token(0.25_f64.ln(), &[0.5, 0.25])], 1.0).expect("told");
        assert!((part + 1.0).abs() < 1e-5 && (tail - 0.25).abs() < 1e-6, "{part} {tail}");
        assert_eq!(min_k_plus(&[token(-1.0, &[])], 0.2), None);
    }
}
