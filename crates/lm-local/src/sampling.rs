use std::cell::RefCell;

use llguidance::toktrie::SimpleVob;
use lm::Sampling;

use crate::kernels::{Summary, Table};

thread_local! {
    /// Changed logits and probabilities of a row; kept, because fresh memory is slow.
    static SCRATCH: RefCell<(Vec<f32>, Vec<f32>)> = const { RefCell::new((Vec::new(), Vec::new())) };
}

/// Draws the next token.
///
/// In this order: what is not `allowed` falls away, repetition penalty on the tokens in `seen` (each
/// once), temperature, top-k, top-p over what top-k left, min-p. Among equally probable tokens the lower id comes first. `uniform` in
/// [0, 1) picks from what is left; temperature 0 takes the first.
pub(crate) fn draw(
    table: &Table,
    logits: &[f32],
    summary: &Summary,
    sampling: &Sampling,
    seen: &[u32],
    allowed: Option<&SimpleVob>,
    uniform: f64,
) -> u32 {
    let penalised = sampling.repetition_penalty != 1.0 && !seen.is_empty();
    if sampling.temperature == 0.0 && !penalised && allowed.is_none() {
        return summary.token;
    }
    SCRATCH.with_borrow_mut(|(changed, weights)| {
        let mut logits = logits;
        let mut largest = summary.largest;
        if penalised || allowed.is_some() {
            changed.clear();
            changed.extend_from_slice(logits);
            for token in seen.iter().filter(|_| penalised) {
                let logit = &mut changed[*token as usize];
                *logit *= if *logit > 0.0 { 1.0 / sampling.repetition_penalty } else { sampling.repetition_penalty };
            }
            forbid(allowed, changed, f32::MIN);
            logits = changed;
            let summary = table.summarise(logits);
            if sampling.temperature == 0.0 {
                return summary.token;
            }
            largest = summary.largest;
        }
        weights.resize(logits.len(), 0.0);
        table.exponentials(logits, largest, 1.0 / sampling.temperature, weights);
        forbid(allowed, weights, 0.0);
        if sampling.top_k == 0 && sampling.top_p >= 1.0 && sampling.min_p == 0.0 {
            return pick_any(weights, uniform);
        }
        let kept = truncate(weights, sampling);
        let total: f64 = kept.iter().map(|(weight, _)| f64::from(*weight)).sum();
        let mut left = uniform * total;
        for (weight, token) in &kept {
            left -= f64::from(*weight);
            if left < 0.0 {
                return *token;
            }
        }
        kept.last().map_or(summary.token, |(_, token)| *token)
    })
}

/// Puts `value` at every token that is not allowed.
fn forbid(allowed: Option<&SimpleVob>, values: &mut [f32], value: f32) {
    if let Some(allowed) = allowed {
        allowed.iter_unset_entries(|token| {
            if let Some(place) = values.get_mut(token) {
                *place = value;
            }
        });
    }
}

/// The `count` most probable tokens and their logits, most probable first, lower ids first among equals.
pub(crate) fn top(logits: &[f32], count: usize) -> Vec<(f32, u32)> {
    let mut best: Vec<(f32, u32)> = Vec::with_capacity(count + 1);
    if count == 0 {
        return best;
    }
    let mut least = f32::NEG_INFINITY;
    for (token, logit) in logits.iter().enumerate() {
        if best.len() == count && *logit <= least {
            continue;
        }
        let at = best.partition_point(|(other, _)| other >= logit);
        best.insert(at, (*logit, token as u32));
        best.truncate(count);
        least = best[best.len() - 1].0;
    }
    best
}

/// A token in proportion to its weight, in order of ids.
fn pick_any(weights: &[f32], uniform: f64) -> u32 {
    let chunks: Vec<f64> = weights.chunks(256).map(sum).collect();
    let mut left = uniform * chunks.iter().sum::<f64>();
    let mut last = 0;
    for (chunk, total) in chunks.iter().enumerate() {
        if left >= *total && chunk + 1 < chunks.len() {
            left -= total;
            continue;
        }
        for (i, weight) in weights[chunk * 256..].iter().enumerate() {
            left -= f64::from(*weight);
            if *weight > 0.0 {
                last = chunk * 256 + i;
            }
            if left < 0.0 {
                return last as u32;
            }
        }
    }
    last as u32
}

fn sum(weights: &[f32]) -> f64 {
    let mut lanes = [0f32; 16];
    let (lines, tail) = weights.as_chunks::<16>();
    for line in lines {
        for (lane, weight) in lanes.iter_mut().zip(line) {
            *lane += weight;
        }
    }
    lanes.iter().chain(tail).map(|w| f64::from(*w)).sum()
}

/// The tokens that top-k, top-p and min-p leave, most probable first. Weights are relative to the
/// largest, which is 1.
fn truncate(weights: &[f32], sampling: &Sampling) -> Vec<(f32, u32)> {
    let total: f64 = weights.chunks(256).map(sum).sum();
    let mut kept: Vec<(f32, u32)> = Vec::new();
    // Sorting a whole vocabulary is slow, and most of it is never reached: begin with the tokens
    // above a threshold, and lower it until no filter can reach below.
    for threshold in [1e-2f32, 1e-3, 1e-4, 1e-6, 0.0] {
        let above = weights.iter().enumerate().filter(|(_, weight)| **weight >= threshold);
        kept = above.map(|(token, weight)| (*weight, token as u32)).collect();
        let enough = if sampling.top_k > 0 {
            kept.len() >= sampling.top_k || sampling.top_p >= 1.0 && threshold <= sampling.min_p
        } else {
            let mass: f64 = kept.iter().map(|(weight, _)| f64::from(*weight)).sum();
            mass >= f64::from(sampling.top_p) * total || threshold <= sampling.min_p
        };
        if enough {
            break;
        }
    }
    kept.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let mut total = total;
    if sampling.top_k > 0 {
        kept.truncate(sampling.top_k);
        total = kept.iter().map(|(weight, _)| f64::from(*weight)).sum();
    }
    if sampling.top_p < 1.0 {
        let mut mass = 0.0;
        let reached = kept.iter().position(|(weight, _)| {
            mass += f64::from(*weight);
            mass >= f64::from(sampling.top_p) * total
        });
        kept.truncate(reached.map_or(kept.len(), |at| at + 1));
    }
    let below = kept.iter().position(|(weight, _)| *weight < sampling.min_p);
    kept.truncate(below.unwrap_or(kept.len()).max(1));
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kernels;

    /// Logits whose probabilities are 0.4, 0.3, 0.2, 0.1 for tokens 3, 1, 2, 0.
    fn logits() -> Vec<f32> {
        [0.1f32, 0.3, 0.2, 0.4].iter().map(|p| p.ln()).collect()
    }

    fn counts(sampling: &Sampling, seen: &[u32]) -> [usize; 4] {
        counts_of(sampling, seen, None)
    }

    fn counts_of(sampling: &Sampling, seen: &[u32], allowed: Option<&SimpleVob>) -> [usize; 4] {
        let table = Table::new(Kernels::detect()).expect("detected");
        let logits = logits();
        let summary = table.summarise(&logits);
        let mut counts = [0; 4];
        for i in 0..1000 {
            let uniform = (i as f64 + 0.5) / 1000.0;
            counts[draw(&table, &logits, &summary, sampling, seen, allowed, uniform) as usize] += 1;
        }
        counts
    }

    #[test]
    fn the_most_probable_tokens_come_first() {
        let logits = [0.5, 2.0, -1.0, 2.0, 1.0];
        assert_eq!(top(&logits, 0), []);
        assert_eq!(top(&logits, 3), [(2.0, 1), (2.0, 3), (1.0, 4)]);
        assert_eq!(top(&logits, 9).len(), 5);
    }

    #[test]
    fn each_filter_keeps_what_it_says() {
        let base = Sampling { temperature: 1.0, ..Sampling::default() };
        assert_eq!(counts(&Sampling::default(), &[]), [0, 0, 0, 1000]);
        assert_eq!(counts(&base, &[]), [100, 300, 200, 400]);
        let near = |counts: [usize; 4], expected: [usize; 4]| {
            assert!(counts.iter().zip(&expected).all(|(a, b)| a.abs_diff(*b) <= 1), "{counts:?}, not {expected:?}");
        };
        near(counts(&Sampling { top_k: 2, ..base }, &[]), [0, 429, 0, 571]);
        near(counts(&Sampling { top_p: 0.65, ..base }, &[]), [0, 429, 0, 571]);
        near(counts(&Sampling { min_p: 0.4, ..base }, &[]), [0, 333, 222, 444]);
        near(counts(&Sampling { top_k: 3, top_p: 0.7, ..base }, &[]), [0, 429, 0, 571]);
        // Temperature 1/2 squares the probabilities: 1, 9, 4, 16 of 30.
        near(counts(&Sampling { temperature: 0.5, ..base }, &[]), [33, 300, 133, 533]);
        // Negative logits are multiplied: ln 0.4 · 2 = ln 0.16.
        near(counts(&Sampling { repetition_penalty: 2.0, ..base }, &[3]), [132, 395, 263, 211]);
        let penalised = Sampling { repetition_penalty: 2.0, ..Sampling::default() };
        assert_eq!(counts(&penalised, &[3]), [0, 1000, 0, 0]);
    }
    #[test]
    fn filters_work_on_what_is_allowed() {
        let base = Sampling { temperature: 1.0, ..Sampling::default() };
        // Without token 3, 0.3, 0.2 and 0.1 are left for tokens 1, 2 and 0.
        let allowed = SimpleVob::from_slice(&[true, true, true, false, true]);
        let found = counts_of(&base, &[], Some(&allowed));
        assert!(found.iter().zip([167, 500, 333, 0]).all(|(a, b)| a.abs_diff(b) <= 1), "{found:?}");
        assert_eq!(counts_of(&Sampling::default(), &[], Some(&allowed)), [0, 1000, 0, 0]);
        let found = counts_of(&Sampling { top_k: 2, ..base }, &[], Some(&allowed));
        assert!(found.iter().zip([0, 600, 400, 0]).all(|(a, b)| a.abs_diff(b) <= 1), "{found:?}");
        let found = counts_of(&Sampling { top_p: 0.8, ..base }, &[], Some(&allowed));
        assert!(found.iter().zip([0, 600, 400, 0]).all(|(a, b)| a.abs_diff(b) <= 1), "{found:?}");
        let only = SimpleVob::from_slice(&[true, false, false, false, false]);
        assert_eq!(counts_of(&Sampling { repetition_penalty: 9.0, ..base }, &[0], Some(&only)), [1000, 0, 0, 0]);
    }
}
