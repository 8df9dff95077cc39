use scaling::baselines::{Chinchilla, Compute, Flp, Gadre, MeanLoss, Observational, OlmoLadder};
use scaling::{Bootstrap, Config, Curve, Ladder, Losses, Prepared, Split, Target};
use serde::{Deserialize, Serialize};

use super::material::Material;

/// What a way of predicting must know of a model beside its recipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reads {
    /// Its losses on the validation text: the model must be trained.
    Losses,
    /// Its accuracies on the other tasks.
    Tasks,
    /// Its size and its training tokens alone: nobody need have trained it.
    Size,
}

/// A way to predict accuracies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// A weight a column.
    Salience,
    /// A weight a domain of the validation text.
    SalienceOfDomains,
    /// A sigmoid of the mean loss.
    MeanLoss,
    /// A sigmoid of the loss on the task's own domain.
    OwnDomain,
    /// Principal components of the other tasks.
    Observational,
    /// The salience vector's loss by a law of size, then its sigmoid.
    SalienceBySize,
    /// A sigmoid of log₁₀(6ND).
    Compute,
    /// Gadre et al., by the mean loss.
    Gadre,
    /// FLP, by the mean loss.
    Flp,
    /// OLMo's ladder, by the loss of the task's own domain where there is one.
    OlmoLadder,
    /// Chinchilla's law of the mean loss, then a sigmoid of it.
    Chinchilla,
}

/// Every way, in the order of the table.
pub(crate) const METHODS: [Method; 11] = [
    Method::Salience,
    Method::SalienceOfDomains,
    Method::MeanLoss,
    Method::OwnDomain,
    Method::Observational,
    Method::SalienceBySize,
    Method::Compute,
    Method::Gadre,
    Method::Flp,
    Method::OlmoLadder,
    Method::Chinchilla,
];

impl Method {
    /// Name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Salience => "salience",
            Self::SalienceOfDomains => "salience of domains",
            Self::MeanLoss => "mean loss",
            Self::OwnDomain => "loss of the task's own domain",
            Self::Observational => "observational",
            Self::SalienceBySize => "salience by size",
            Self::Compute => "compute",
            Self::Gadre => "Gadre et al.",
            Self::Flp => "FLP",
            Self::OlmoLadder => "OLMo ladder",
            Self::Chinchilla => "Chinchilla",
        }
    }

    /// What it must know of a model.
    pub fn reads(self) -> Reads {
        match self {
            Self::Salience | Self::SalienceOfDomains | Self::MeanLoss | Self::OwnDomain => Reads::Losses,
            Self::Observational => Reads::Tasks,
            _ => Reads::Size,
        }
    }
}

/// What all methods take.
pub(crate) struct Bench<'a> {
    pub material: &'a Material,
    /// Losses with a weight a column, or a group of tied columns.
    pub columns: &'a Prepared<'a>,
    /// Losses with a weight a domain, where there are two or more and fewer than columns.
    pub domains: Option<&'a Prepared<'a>>,
    pub domain_names: &'a [String],
    /// Labels by which models are drawn together.
    pub clusters: &'a [usize],
    pub config: &'a Config,
}

/// λ of both kinds of salience vectors.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lambdas {
    pub columns: f64,
    pub domains: f64,
}

/// Why a method has no prediction.
pub(crate) type Unfit = String;

/// Sizes, training tokens, models to learn from and models to predict → accuracies of the latter.
type BySize<'a> = &'a dyn Fn(&[f64], &[f64], &[usize], &[usize]) -> scaling::Result<Vec<f64>>;

const NO_SIZES: &str = "sizes and training tokens are not known: give --meta";

impl Bench<'_> {
    /// Predicted accuracies of the split's test models.
    pub fn predict(&self, method: Method, target: &Target, split: &Split, lambda: Lambdas) -> Result<Vec<f64>, Unfit> {
        let (floor, ceiling) = (self.config.floor, self.config.ceiling);
        let said = |e: scaling::Error| e.to_string();
        let by_size = |predict: BySize| {
            let (n, d) = self.material.params.as_ref().zip(self.material.tokens.as_ref()).ok_or(NO_SIZES)?;
            self.by_family(split, |along, test| predict(n, d, along, test)).map_err(said)
        };
        let mean = || self.material.losses.means();
        let y = &target.accuracy;
        match method {
            Method::Salience => self.salience(self.columns, target, split, lambda.columns).map_err(said),
            Method::SalienceOfDomains => {
                let prepared = self.domains.ok_or("the text has one domain, or one a column")?;
                self.salience(prepared, target, split, lambda.domains).map_err(said)
            }
            Method::MeanLoss => {
                let losses = &self.material.losses;
                let fit = MeanLoss::fit(losses, target, &split.train, floor, ceiling).map_err(said)?;
                Ok(pick(&fit.predict(losses), &split.test))
            }
            Method::OwnDomain => {
                let x = self.own_domain(target).ok_or("no domain of the text bears the task's name")?;
                let (known, y) = (pick(&x, &split.train), pick(y, &split.train));
                let curve = Curve::fit(&known, &y, None, floor, ceiling).map_err(said)?;
                Ok(split.test.iter().map(|&m| curve.at(x[m])).collect())
            }
            Method::Observational => self.observational(target, split),
            Method::SalienceBySize => by_size(&|n, d, along, test| {
                let config = Config { lambda: lambda.columns, ..self.config.clone() };
                let questions: Vec<(f64, f64)> = test.iter().map(|&m| (n[m], d[m])).collect();
                // Only the values are taken; the bands of the table are those of all methods.
                let by = Bootstrap { replicates: 20, ..Bootstrap::default() };
                let (train, ladder) = (&split.train, Ladder { n, d, along });
                let forecast = self.columns.forecast(target, train, self.clusters, &config, ladder, &questions, &by)?;
                Ok(forecast.bands.accuracy.iter().map(|band| band.value).collect())
            }),
            Method::Compute => by_size(&|n, d, along, test| {
                let fit = Compute::fit(&pick(n, along), &pick(d, along), &pick(y, along), floor, ceiling)?;
                Ok(test.iter().map(|&m| fit.predict(n[m], d[m])).collect())
            }),
            Method::Gadre => by_size(&|n, d, along, test| {
                let loss = pick(&mean(), along);
                let fit = Gadre::fit(&pick(n, along), &pick(d, along), &loss, &pick(y, along))?;
                Ok(test.iter().map(|&m| fit.predict(n[m], d[m])).collect())
            }),
            Method::Flp => by_size(&|n, d, along, test| {
                let (loss, y) = (pick(&mean(), along), pick(y, along));
                // Chance is not told: what the worst of the training models reaches.
                let chance = y.iter().copied().fold(1.0, f64::min);
                let fit = Flp::fit(&pick(n, along), &pick(d, along), &loss, &y, chance)?;
                Ok(test.iter().map(|&m| fit.predict(n[m], d[m])).collect())
            }),
            Method::OlmoLadder => by_size(&|n, d, along, test| {
                let loss = pick(&self.own_domain(target).unwrap_or_else(mean), along);
                let fit = OlmoLadder::fit(&pick(n, along), &pick(d, along), &loss, &pick(y, along))?;
                Ok(test.iter().map(|&m| fit.predict(n[m], d[m])).collect())
            }),
            Method::Chinchilla => by_size(&|n, d, along, test| {
                let (x, y) = (pick(&mean(), along), pick(y, along));
                let law = Chinchilla::fit(&pick(n, along), &pick(d, along), &x)?;
                let curve = Curve::fit(&x, &y, None, floor, ceiling)?;
                Ok(test.iter().map(|&m| curve.at(law.predict(n[m], d[m]))).collect())
            }),
        }
    }

    fn salience(&self, prepared: &Prepared, target: &Target, split: &Split, lambda: f64) -> scaling::Result<Vec<f64>> {
        let fit = prepared.fit(target, &split.train, &Config { lambda, ..self.config.clone() })?;
        Ok(pick(&fit.predict(prepared.losses), &split.test))
    }

    fn observational(&self, target: &Target, split: &Split) -> Result<Vec<f64>, Unfit> {
        let others: Vec<&Target> =
            self.material.targets.iter().filter(|other| subject(other) != subject(target)).collect();
        if others.is_empty() {
            return Err("there is no other task".into());
        }
        let row = |m: &usize| -> Vec<f64> { others.iter().map(|other| other.accuracy[*m]).collect() };
        let scores: Vec<f64> = split.train.iter().flat_map(row).collect();
        let y = pick(&target.accuracy, &split.train);
        let components = 3.min(others.len()).min(y.len().saturating_sub(1));
        let fit = Observational::fit(&scores, others.len(), &y, components, self.config.floor, self.config.ceiling);
        let fit = fit.map_err(|e| e.to_string())?;
        Ok(split.test.iter().map(|m| fit.predict(&row(m))).collect())
    }

    /// Losses on the domain that bears the task's name, up to a colon.
    fn own_domain(&self, target: &Target) -> Option<Vec<f64>> {
        let losses: &Losses = self.domains?.losses;
        let at = self.domain_names.iter().position(|name| name == subject(target))?;
        Some((0..losses.models()).map(|m| f64::from(losses.row(m)[at])).collect())
    }

    /// Laws of size hold for one training distribution: each test model is predicted from the training
    /// models of its own family, or from all where its family is what is held out.
    fn by_family(
        &self,
        split: &Split,
        predict: impl Fn(&[usize], &[usize]) -> scaling::Result<Vec<f64>>,
    ) -> scaling::Result<Vec<f64>> {
        let Some(families) = &self.material.families else { return predict(&split.train, &split.test) };
        let mut out = vec![f64::NAN; families.len()];
        let mut names: Vec<&String> = split.test.iter().map(|m| &families[*m]).collect();
        names.sort();
        names.dedup();
        for name in names {
            let own =
                |some: &[usize]| -> Vec<usize> { some.iter().copied().filter(|m| families[*m] == *name).collect() };
            let (mut along, asked) = (own(&split.train), own(&split.test));
            if along.is_empty() {
                along = split.train.clone();
            }
            predict(&along, &asked)?.into_iter().zip(asked).for_each(|(y, m)| out[m] = y);
        }
        Ok(pick(&out, &split.test))
    }
}

/// What a task is about: its name up to a colon. Measures of one subject (`words:exact`, `words:tokens`)
/// are not told from each other.
fn subject(target: &Target) -> &str {
    target.task.split(':').next().unwrap_or(&target.task)
}

/// These models' values.
pub(crate) fn pick(values: &[f64], some: &[usize]) -> Vec<f64> {
    some.iter().map(|&m| values[m]).collect()
}
