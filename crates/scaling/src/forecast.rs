//! The accuracy of a model that is not yet trained: size → weighted loss → accuracy.

use rand::RngExt;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::bands::Bands;
use crate::bootstrap::{Bootstrap, Clusters};
use crate::curve::sigmoid;
use crate::{Config, Error, PowerLaw, Prepared, Result, Target};

/// Which models say how the weighted loss falls, and how large each is.
#[derive(Debug, Clone, Copy)]
pub struct Ladder<'a> {
    /// N of every model of the losses.
    pub n: &'a [f64],
    /// D of every model of the losses.
    pub d: &'a [f64],
    /// Models of the recipe that is continued, at least five: another training distribution has another
    /// law.
    pub along: &'a [usize],
}

/// What is expected of models that nobody has trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    /// The law of a·C = Σ slopes·L, in log-odds.
    pub law: PowerLaw,
    /// Whether relative errors of the weighted loss were minimised: where all are above 0.
    pub relative: bool,
    /// Root mean square of the ladder's models around the law: relative, or in log-odds.
    pub scatter: f64,
    /// Expected accuracies in the order of the questions.
    pub bands: Bands,
}

impl Prepared<'_> {
    /// Fits the salience vector on `train`, then E + A/N^α + B/D^β to the weighted losses of the ladder,
    /// and asks the sigmoid at each (N, D). The bands come from families drawn anew (both fits) and from
    /// the ladder's scatter around the law.
    #[expect(clippy::too_many_arguments, reason = "the two fits' data, their settings, and the questions")]
    pub fn forecast(
        &self,
        target: &Target,
        train: &[usize],
        families: &[usize],
        config: &Config,
        ladder: Ladder,
        questions: &[(f64, f64)],
        bootstrap: &Bootstrap,
    ) -> Result<Forecast> {
        bootstrap.validate()?;
        let models = self.losses.models();
        for list in [ladder.n, ladder.d] {
            if list.len() != models {
                return Err(Error::Length { what: "the list of sizes or tokens", got: list.len(), expected: models });
            }
        }
        if let Some(m) = ladder.along.iter().find(|m| **m >= models) {
            let problem = format!("the ladder names model {m} of {models}");
            return Err(Error::Data { problem, hint: "number the models from 0" });
        }
        let (ns, ds): (Vec<f64>, Vec<f64>) = questions.iter().copied().unzip();
        crate::law::positive("number of parameters of a question", &ns)?;
        crate::law::positive("number of tokens of a question", &ds)?;
        // Families are drawn once for both fits: over the models that stand in either.
        let mut all = [train, ladder.along].concat();
        all.sort_unstable();
        all.dedup();
        let clusters = Clusters::new(families, &all)?;
        let pick = |of: &[f64]| -> Vec<f64> { ladder.along.iter().map(|&m| of[m]).collect() };
        let (n, d) = (pick(ladder.n), pick(ladder.d));
        let state = self.run(target, train, None, config, None)?;
        let (sums, offset) = self.sums(&state);
        let own = pick(&sums);
        let ones = vec![1.0; own.len()];
        let (law, relative) = law(&n, &d, &own, &ones)?;
        let expected: Vec<f64> = n.iter().zip(&d).map(|(n, d)| law.at(*n, *d)).collect();
        let off: Vec<f64> =
            own.iter().zip(&expected).map(|(x, law)| if relative { x / law - 1.0 } else { x - law }).collect();
        let (floor, ceiling) = state.levels();
        let accuracy = |z: f64, (floor, ceiling): (f64, f64)| floor + (ceiling - floor) * sigmoid(z);
        let values: Vec<f64> =
            questions.iter().map(|q| accuracy(offset - law.at(q.0, q.1), (floor, ceiling))).collect();
        let drawn = (0..bootstrap.replicates)
            .into_par_iter()
            .map(|replicate| {
                let times = bootstrap.draw(replicate, &clusters);
                let of = |some: &[usize]| -> Vec<f64> {
                    some.iter().map(|m| times[all.partition_point(|x| x < m)]).collect()
                };
                let again = self.run(target, train, Some(&of(train)), config, Some(&state)).ok()?;
                let (sums, offset) = self.sums(&again);
                let (law, relative) = self::law(&n, &d, &pick(&sums), &of(ladder.along)).ok()?;
                let mut random = bootstrap.random(replicate);
                let one = |q: &(f64, f64)| {
                    let (sum, off) = (law.at(q.0, q.1), off[random.random_range(0..off.len())]);
                    let moved = if relative { sum * (1.0 + off) } else { sum + off };
                    accuracy(offset - moved, again.levels())
                };
                Some(questions.iter().map(one).collect())
            })
            .collect();
        let bands = Bands::new(&values, drawn, clusters.count, bootstrap)?;
        let scatter = (off.iter().map(|x| x * x).sum::<f64>() / off.len() as f64).sqrt();
        Ok(Forecast { law, relative, scatter, bands })
    }
}

/// The law of weighted losses. Where all are above 0, as losses are, relative errors count and E ≥ 0:
/// large models, whose losses are small and close together, weigh as much as small ones. Signed weights
/// may take a sum below 0; then plain errors count.
fn law(n: &[f64], d: &[f64], sums: &[f64], times: &[f64]) -> Result<(PowerLaw, bool)> {
    let relative = sums.iter().all(|x| *x > 0.0);
    let (weights, least) = if relative {
        (sums.iter().zip(times).map(|(x, t)| t / (x * x)).collect(), 0.0)
    } else {
        (times.to_vec(), f64::NEG_INFINITY)
    };
    Ok((PowerLaw::fit_weighted(n, d, sums, &weights, least)?, relative))
}
