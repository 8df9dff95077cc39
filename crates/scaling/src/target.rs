use crate::{Error, Losses, Result};

/// Accuracies of the models on one task.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// The task's name.
    pub task: String,
    /// A share from 0 to 1 for each model of the losses. Models that are not fitted may have NaN.
    pub accuracy: Vec<f64>,
    /// Standard error of each; 1 where none are given, so that all models weigh alike.
    pub errors: Option<Vec<f64>>,
}

impl Target {
    /// Accuracies that all weigh alike.
    pub fn new(task: impl Into<String>, accuracy: Vec<f64>) -> Self {
        Self { task: task.into(), accuracy, errors: None }
    }

    /// The same, weighed by the sampling error of `items` questions: √(y′(1 − y′)/n) with Laplace's
    /// y′ = (ny + 1)/(n + 2), so that all right and all wrong are no certainty.
    pub fn with_items(mut self, items: usize) -> Self {
        let n = items as f64;
        let error = |y: &f64| {
            let y = (n * y + 1.0) / (n + 2.0);
            (y * (1.0 - y) / n).sqrt()
        };
        self.errors = Some(self.accuracy.iter().map(error).collect());
        self
    }

    /// √multiplicity / se of the models in `train`, 0 of the others; looks at every number that it
    /// takes.
    pub(crate) fn scales(&self, losses: &Losses, train: &[usize], multiplicity: Option<&[f64]>) -> Result<Vec<f64>> {
        let models = losses.models();
        if self.accuracy.len() != models {
            return Err(Error::Length { what: "the list of accuracies", got: self.accuracy.len(), expected: models });
        }
        if let Some(errors) = self.errors.as_ref().filter(|errors| errors.len() != models) {
            return Err(Error::Length { what: "the list of standard errors", got: errors.len(), expected: models });
        }
        let mut scales = vec![0.0; models];
        for (i, &m) in train.iter().enumerate() {
            if m >= models {
                let problem = format!("training set names model {m} of {models}");
                return Err(Error::Data { problem, hint: "number the models from 0" });
            }
            let y = self.accuracy[m];
            if !(0.0..=1.0).contains(&y) {
                return Err(Error::Accuracy { task: self.task.clone(), model: losses.name(m).into(), value: y });
            }
            let error = self.errors.as_ref().map_or(1.0, |errors| errors[m]);
            if !error.is_finite() || error <= 0.0 {
                let model = losses.name(m).to_string();
                return Err(Error::NotPositive { what: "standard error", model, value: error });
            }
            scales[m] = multiplicity.map_or(1.0, |times| times[i]).sqrt() / error;
        }
        Ok(scales)
    }
}
