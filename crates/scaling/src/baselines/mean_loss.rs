use serde::{Deserialize, Serialize};

use crate::{Curve, Level, Losses, Result, Target};

/// Mean loss → accuracy: what a salience vector is when all tokens weigh alike.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MeanLoss {
    /// The sigmoid over the mean loss.
    pub curve: Curve,
}

impl MeanLoss {
    /// Least squares over the models in `train`.
    pub fn fit(losses: &Losses, target: &Target, train: &[usize], floor: Level, ceiling: Level) -> Result<Self> {
        target.scales(losses, train, None)?;
        let means = losses.means();
        let pick = |of: &[f64]| -> Vec<f64> { train.iter().map(|&m| of[m]).collect() };
        let errors = target.errors.as_ref().map(|errors| pick(errors));
        let curve = Curve::fit(&pick(&means), &pick(&target.accuracy), errors.as_deref(), floor, ceiling)?;
        Ok(Self { curve })
    }

    /// The accuracy of every model of losses.
    pub fn predict(&self, losses: &Losses) -> Vec<f64> {
        losses.means().iter().map(|mean| self.curve.at(*mean)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, Prepared};

    #[test]
    fn it_is_a_salience_vector_under_an_endless_penalty() {
        let value = |m: usize, t: usize| (3.0 - 0.1 * m as f64 + ((m * 7 + t * 3) % 5) as f64 * 0.1) as f32;
        let values = (0..12).flat_map(|m| (0..6).map(move |t| value(m, t))).collect();
        let losses = Losses::new(12, 6, values).expect("finite");
        let target = Target::new("t", (0..12).map(|m| 0.2 + 0.05 * f64::from(m)).collect());
        let train: Vec<usize> = (0..9).collect();
        let (floor, ceiling) = (Level::Fixed(0.1), Level::Fixed(1.0));
        let mean = MeanLoss::fit(&losses, &target, &train, floor, ceiling).expect("fits").predict(&losses);
        let config = Config { floor, ceiling, lambda: 1e9, ..Config::default() };
        let heavy = Prepared::new(&losses).fit(&target, &train, &config).expect("fits").predict(&losses);
        mean.iter().zip(&heavy).for_each(|(a, b)| assert!((a - b).abs() < 1e-5, "{a} {b}"));
    }
}
