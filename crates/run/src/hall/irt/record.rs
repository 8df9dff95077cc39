use ::irt::dif::EtsClass;
use ::irt::{MeanSquare, Test};
use exam::gaokao::Gaokao;
use exam::scored::{Aside, How, NamedPart};
use serde::Serialize;

use super::fitted::PlanesFit;
use super::graders::Graders;

/// Everything that the page shows.
#[derive(Debug, Clone, Serialize)]
pub struct Analysis {
    /// Layout of this record; 1.
    pub schema_version: u32,
    /// The model, as it is typed.
    pub model: String,
    /// How it was fitted.
    pub method: String,
    /// Why, and what to be careful of.
    pub why: Vec<String>,
    /// The scale of abilities and difficulties.
    pub scale: String,
    /// Where errors of items come from.
    pub errors_how: String,
    /// What readers of the logs set aside or chose.
    pub reading: Vec<String>,
    /// What the fit and its tests could not do, and why.
    pub notes: Vec<String>,
    /// Persons, in the order of the logs.
    pub persons: Vec<PersonLine>,
    /// Items, in the order of the logs.
    pub items: Vec<ItemLine>,
    /// Who and what could not be estimated.
    pub aside: Vec<Aside>,
    /// Parts of the design, if it falls apart; the first one was fitted.
    pub parts: Vec<NamedPart>,
    /// Responses that were fitted.
    pub responses: usize,
    /// Mean and deviation of ability.
    pub population: (f64, f64),
    /// Marginal log-likelihood; absent where items were known beforehand.
    pub log_likelihood: Option<f64>,
    /// Free numbers.
    pub parameters: usize,
    /// Akaike's criterion.
    pub aic: Option<f64>,
    /// Schwarz's.
    pub bic: Option<f64>,
    /// Reliability and separation of abilities.
    pub reliability: Vec<Reliability>,
    /// Tests of the model as a whole.
    pub tests: Vec<Whole>,
    /// Yen's Q3.
    pub q3: Option<Q3>,
    /// Contrasts of the residuals.
    pub contrasts: Vec<Contrast>,
    /// θ, information of the test, and the standard error 1 / √I.
    pub information: Vec<[f64; 3]>,
    /// Items that favour a group.
    pub dif: Option<Dif>,
    /// Graders.
    pub graders: Option<Graders>,
    /// A model with several abilities.
    pub planes: Option<PlanesFit>,
    /// What psychometrics answers to the question of GAOKAO-Eval.
    pub proper: Vec<String>,
    /// The paper's own figures.
    pub paper: Option<Gaokao>,
    /// What of an ability the posterior tells: its mean or its mode.
    pub posterior_name: String,
}

/// A person.
#[derive(Debug, Clone, Serialize)]
pub struct PersonLine {
    /// Name.
    pub name: String,
    /// The model that it is a variant of.
    pub base: Option<String>,
    /// Its group.
    pub group: Option<String>,
    /// Responses.
    pub n: usize,
    /// Sum of whole scores.
    pub raw: usize,
    /// The most that they could be.
    pub most: usize,
    /// Share of marks, of the scores as they stand in the logs.
    pub rate: f64,
    /// θ by Warm's weighted likelihood.
    pub theta: Option<f64>,
    /// Its standard error.
    pub error: Option<f64>,
    /// θ by the posterior.
    pub posterior: Option<f64>,
    /// The posterior's deviation.
    pub deviation: Option<f64>,
    /// Mean squares.
    pub fit: Option<MeanSquare>,
    /// l_z*; far below 0 for responses that do not belong together.
    pub l_z: Option<f64>,
    /// Its one-sided p, adjusted for the number of persons (Benjamini and Hochberg).
    pub p: Option<f64>,
    /// Whether every response has the lowest or the highest score.
    pub extreme: Option<&'static str>,
}

/// An item.
#[derive(Debug, Clone, Serialize)]
pub struct ItemLine {
    /// Id.
    pub id: String,
    /// Subject.
    pub subject: Option<String>,
    /// Type.
    pub kind: Option<String>,
    /// Responses.
    pub n: usize,
    /// Mean share of marks.
    pub mean: f64,
    /// The most that it gives.
    pub max: f64,
    /// What became of its scores.
    pub how: How,
    /// Rising scores at which the next category begins.
    pub cuts: Vec<f64>,
    /// Responses in each category.
    pub counts: Vec<u64>,
    /// a.
    pub slope: f64,
    /// Its standard error, where slopes are fitted.
    pub slope_error: Option<f64>,
    /// b, one a step.
    pub difficulties: Vec<f64>,
    /// Their standard errors.
    pub difficulty_errors: Option<Vec<f64>>,
    /// Lower asymptote.
    pub lower: f64,
    /// Upper asymptote.
    pub upper: f64,
    /// Correlation of its score with the mean of all other items.
    pub point_biserial: Option<f64>,
    /// Mean squares.
    pub fit: Option<MeanSquare>,
    /// S-X².
    pub s_x2: Option<Test>,
    /// Its p, adjusted for the number of items (Benjamini and Hochberg).
    pub s_x2_adjusted: Option<f64>,
    /// Difficulty that somebody stated.
    pub stated: Option<f64>,
    /// Whether an anchor held it.
    pub anchored: bool,
}

impl ItemLine {
    /// Mean of the steps' difficulties.
    pub fn difficulty(&self) -> f64 {
        self.difficulties.iter().sum::<f64>() / self.difficulties.len() as f64
    }

    /// Standard error of a difficulty: of the one step, or the mean of several.
    pub fn difficulty_error(&self) -> Option<f64> {
        self.difficulty_errors.as_ref().map(|errors| errors.iter().sum::<f64>() / errors.len() as f64)
    }
}

/// Reliability of an estimator.
#[derive(Debug, Clone, Serialize)]
pub struct Reliability {
    /// WLE, EAP or MAP.
    pub estimator: String,
    /// Share of the variance of estimates that is variance of ability.
    pub reliability: f64,
    /// √(R / (1 − R)).
    pub separation: f64,
    /// Persons.
    pub n: usize,
}

/// A test of the model as a whole, or why it could not be done.
#[derive(Debug, Clone, Serialize)]
pub struct Whole {
    /// Its name.
    pub name: String,
    /// What it asks.
    pub asks: String,
    /// Its result.
    pub test: Option<Test>,
    /// More of it, e.g. an RMSEA, or why there is none.
    pub detail: String,
}

/// Residual correlations of items.
#[derive(Debug, Clone, Serialize)]
pub struct Q3 {
    /// Mean over pairs, near −1 / (items − 1) where items depend on ability alone.
    pub mean: f64,
    /// Pairs.
    pub pairs: usize,
    /// Pairs that lie more than 0.2 above the mean: (item, item, Q3), the largest first; at most 100.
    pub high: Vec<(String, String, f64)>,
    /// How many there are.
    pub count: usize,
}

/// A principal component of the residuals.
#[derive(Debug, Clone, Serialize)]
pub struct Contrast {
    /// In units of items.
    pub eigenvalue: f64,
    /// The items at its ends, with loadings.
    pub ends: Vec<(String, f64)>,
}

/// Items that favour a group.
#[derive(Debug, Clone, Serialize)]
pub struct Dif {
    /// The column of the persons.
    pub column: String,
    /// Reference group and its persons.
    pub reference: (String, usize),
    /// Focal group and its persons.
    pub focal: (String, usize),
    /// Items.
    pub lines: Vec<DifLine>,
    /// What to be careful of, and what could not be done.
    pub notes: Vec<String>,
}

/// An item's DIF. Adjusted p are Benjamini and Hochberg's over items.
#[derive(Debug, Clone, Serialize)]
pub struct DifLine {
    /// Id.
    pub id: String,
    /// Mantel–Haenszel Δ = −2.35 ln(odds ratio); below 0 the item is harder for the focal group.
    pub delta: Option<f64>,
    /// Its standard error.
    pub error: Option<f64>,
    /// ETS class.
    pub class: Option<EtsClass>,
    /// Adjusted p of Mantel and Haenszel.
    pub p: Option<f64>,
    /// Coefficient of the focal group at equal score, in logits, by logistic regression.
    pub uniform: Option<f64>,
    /// Its adjusted p.
    pub p_uniform: Option<f64>,
    /// Adjusted p of an effect that changes with the score.
    pub p_nonuniform: Option<f64>,
    /// Difficulty in the focal group less that in the reference group (Wald, Rasch).
    pub difference: Option<f64>,
    /// Its standard error.
    pub difference_error: Option<f64>,
    /// Its adjusted p.
    pub p_wald: Option<f64>,
}

/// A grader.
#[derive(Debug, Clone, Serialize)]
pub struct RaterLine {
    /// Name.
    pub name: String,
    /// Severity in logits; higher gives lower marks.
    pub severity: f64,
    /// Its standard error.
    pub error: f64,
    /// Mean squares, 1 is expected.
    pub infit: f64,
    /// Unweighted.
    pub outfit: f64,
    /// Mean of the marks given, as categories.
    pub observed: f64,
    /// Mean that the same answers would get from a grader of mean severity.
    pub fair: f64,
    /// Marks.
    pub n: usize,
    /// Subset within which severities follow from the marks alone.
    pub subset: Option<usize>,
}
