//! Strength from duels: who beats whom, models or items alike.

use crate::{Error, Result};

/// A duel: the first player's points, 1 for a win, ½ for a draw, 0 for a defeat.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Duel {
    /// One player.
    pub first: usize,
    /// The other.
    pub second: usize,
    /// Points of the first, 0 to 1.
    pub points: f64,
}

/// Elo's ratings after duels in order: P = 1 / (1 + 10^{(R_b − R_a)/400}), each duel moves both by k
/// times the surprise. They depend on the order; take [`bradley_terry`] where it means nothing.
pub fn elo(players: usize, duels: &[Duel], k: f64) -> Vec<f64> {
    let mut ratings = vec![1500.0; players];
    for duel in duels {
        let expected = 1.0 / (1.0 + 10_f64.powf((ratings[duel.second] - ratings[duel.first]) / 400.0));
        let change = k * (duel.points - expected);
        ratings[duel.first] += change;
        ratings[duel.second] -= change;
    }
    ratings
}

/// Strengths of the model P(a beats b) = σ(s_a − s_b), with standard errors; their mean is 0.
#[derive(Debug, Clone, PartialEq)]
pub struct Strengths {
    /// In logits.
    pub strengths: Vec<f64>,
    /// Standard error of each less the mean of all.
    pub errors: Vec<f64>,
    /// Log-likelihood.
    pub log_likelihood: f64,
}

/// Maximum likelihood of the Bradley–Terry model by Newton's method. A tiny normal prior (deviation 10
/// logits) keeps players finite who won or lost everything.
pub fn bradley_terry(players: usize, duels: &[Duel]) -> Result<Strengths> {
    if players < 2 || duels.is_empty() {
        return Err(Error::Data { problem: "no duels".into(), hint: "give at least one between two players" });
    }
    if let Some(at) = duels
        .iter()
        .position(|d| d.first.max(d.second) >= players || d.first == d.second || !(0.0..=1.0).contains(&d.points))
    {
        return Err(Error::Response {
            at,
            problem: "a duel needs two different players and points between 0 and 1".into(),
        });
    }
    const PRECISION: f64 = 0.01;
    let mut s = vec![0.0; players];
    for _ in 0..100 {
        let (gradient, information) = slopes(&s, duels, PRECISION);
        let mut step = gradient;
        crate::mml::solve(&information, &mut step);
        s.iter_mut().zip(&step).for_each(|(s, step)| *s += step.clamp(-2.0, 2.0));
        if step.iter().all(|step| step.abs() < 1e-10) {
            break;
        }
    }
    let mean = s.iter().sum::<f64>() / players as f64;
    s.iter_mut().for_each(|s| *s -= mean);
    let (_, information) = slopes(&s, duels, PRECISION);
    let covariance = crate::mml::invert(&information, players).unwrap_or(vec![f64::INFINITY; players * players]);
    let row = |i: usize| covariance[i * players..(i + 1) * players].iter().sum::<f64>() / players as f64;
    let all = (0..players).map(row).sum::<f64>() / players as f64;
    let errors = (0..players).map(|i| (covariance[i * players + i] - 2.0 * row(i) + all).max(0.0).sqrt()).collect();
    let log = |d: &Duel| {
        let p = crate::model::sigmoid(s[d.first] - s[d.second]);
        d.points * p.ln() + (1.0 - d.points) * (1.0 - p).ln()
    };
    Ok(Strengths { log_likelihood: duels.iter().map(log).sum(), strengths: s, errors })
}

fn slopes(s: &[f64], duels: &[Duel], precision: f64) -> (Vec<f64>, Vec<f64>) {
    let n = s.len();
    let mut gradient: Vec<f64> = s.iter().map(|s| -precision * s).collect();
    let mut information = vec![0.0; n * n];
    (0..n).for_each(|i| information[i * n + i] = precision);
    for d in duels {
        let p = crate::model::sigmoid(s[d.first] - s[d.second]);
        gradient[d.first] += d.points - p;
        gradient[d.second] -= d.points - p;
        let w = p * (1.0 - p);
        information[d.first * n + d.first] += w;
        information[d.second * n + d.second] += w;
        information[d.first * n + d.second] -= w;
        information[d.second * n + d.first] -= w;
    }
    (gradient, information)
}

/// A Glicko rating (Glickman 1999).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Glicko {
    /// On Elo's scale.
    pub rating: f64,
    /// Its deviation.
    pub deviation: f64,
}

/// Ratings after one period in which all `duels` happened; `c` is how much deviations grow between
/// periods (0 within one sitting).
pub fn glicko(players: &[Glicko], duels: &[Duel], c: f64) -> Vec<Glicko> {
    let q = 10_f64.ln() / 400.0;
    let g = |deviation: f64| 1.0 / (1.0 + 3.0 * (q * deviation / std::f64::consts::PI).powi(2)).sqrt();
    let mut sums = vec![(0.0, 0.0); players.len()];
    let before: Vec<Glicko> =
        players.iter().map(|p| Glicko { deviation: (p.deviation.powi(2) + c * c).sqrt().min(350.0), ..*p }).collect();
    for duel in duels {
        for (own, other, points) in
            [(duel.first, duel.second, duel.points), (duel.second, duel.first, 1.0 - duel.points)]
        {
            let weight = g(before[other].deviation);
            let expected = 1.0 / (1.0 + 10_f64.powf(-weight * (before[own].rating - before[other].rating) / 400.0));
            sums[own].0 += weight * (points - expected);
            sums[own].1 += weight * weight * expected * (1.0 - expected);
        }
    }
    before
        .iter()
        .zip(sums)
        .map(|(p, (surprise, information))| {
            let precision = p.deviation.powi(-2) + q * q * information;
            Glicko { rating: p.rating + q / precision * surprise, deviation: precision.powf(-0.5) }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn glickman_s_own_example() {
        // A player of 1500 (200) beats 1400 (30), loses to 1550 (100) and 1700 (300): 1464, 151.4.
        let of = |rating, deviation| Glicko { rating, deviation };
        let players = [of(1500.0, 200.0), of(1400.0, 30.0), of(1550.0, 100.0), of(1700.0, 300.0)];
        let duel = |second, points| Duel { first: 0, second, points };
        let after = glicko(&players, &[duel(1, 1.0), duel(2, 0.0), duel(3, 0.0)], 0.0);
        assert!((after[0].rating - 1464.0).abs() < 0.5 && (after[0].deviation - 151.4).abs() < 0.1, "{:?}", after[0]);
    }

    #[test]
    fn strengths_come_back() {
        let truth = [1.0, 0.0, -1.0];
        let mut duels = Vec::new();
        for first in 0..3 {
            for second in 0..3 {
                if first != second {
                    let wins = (1000.0 * crate::model::sigmoid(truth[first] - truth[second])).round() as usize;
                    duels.extend((0..1000).map(|i| Duel { first, second, points: f64::from(i < wins) }));
                }
            }
        }
        let found = bradley_terry(3, &duels).expect("strengths");
        assert!(found.strengths.iter().zip(truth).all(|(f, t)| (f - t).abs() < 0.01), "{found:?}");
        assert!(found.errors.iter().all(|e| (0.02..0.04).contains(e)), "{found:?}");
        let sure = bradley_terry(2, &[Duel { first: 0, second: 1, points: 1.0 }]).expect("strengths");
        assert!(sure.strengths[0].is_finite() && sure.strengths[0] > 1.0);
        assert!(bradley_terry(2, &[Duel { first: 1, second: 1, points: 1.0 }]).is_err());
        let ratings = elo(2, &[Duel { first: 0, second: 1, points: 1.0 }], 32.0);
        assert_eq!(ratings, [1516.0, 1484.0]);
    }
}
