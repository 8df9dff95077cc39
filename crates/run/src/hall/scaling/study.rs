use rayon::prelude::*;
use scaling::{Bootstrap, Config, Form, Interval, Prepared, Split, Target, Verdict, evaluate, judge_pooled, splits};
use serde::{Deserialize, Serialize};

use super::material::Material;
use super::method::{Bench, Lambdas, METHODS, Method, Reads, Unfit, pick};
use crate::{Error, Result, Watch};

/// What is held out in turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HoldOut {
    /// One family of models after the other.
    Family,
    /// All models of the largest size, at once.
    Largest,
    /// Fifths of the models.
    Random,
}

/// How a study is made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Form of the weights, floor and ceiling; λ is chosen.
    pub config: Config,
    /// How intervals are drawn.
    pub bootstrap: Bootstrap,
    /// Values of λ that are tried.
    pub lambdas: usize,
    /// Seed of random parts.
    pub seed: u64,
}

/// One way of holding out: every method on the same tasks and models.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Study {
    /// What was held out.
    pub hold_out: HoldOut,
    /// Each part that was held out: name, training models, test models, λ of the salience vector, and
    /// whether λ stands at an end of what was tried.
    pub parts: Vec<Part>,
    /// Predictions: tasks × held-out models.
    pub n: usize,
    /// Groups of models that intervals draw together.
    pub clusters: usize,
    /// One line a method.
    pub rows: Vec<MethodRow>,
    /// One line a task, for the salience vector.
    pub tasks: Vec<TaskRow>,
}

/// A part that was held out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// What, in words.
    pub name: String,
    /// Models to learn from.
    pub train: usize,
    /// Models to predict.
    pub test: usize,
    /// λ, chosen on folds of the training models.
    pub lambda: f64,
    /// Whether it stands at an end of the values that were tried.
    pub at_end: bool,
}

/// A method's figures over all tasks and held-out models.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MethodRow {
    /// Which.
    pub method: Method,
    /// What it reads of a model.
    pub reads: Reads,
    /// Mean of |ŷ − y|, with limits by drawing groups of models anew; none where it cannot be fitted
    /// to any task.
    pub mae: Option<Interval>,
    /// Median of |ŷ − y|.
    pub median: f64,
    /// Median over tasks of the rank correlation of ŷ and y.
    pub spearman: Option<f64>,
    /// How much larger its mean error is than the salience vector's, paired.
    pub behind: Option<Interval>,
    /// Tasks that are predictable, are not, and open ones.
    pub verdicts: [usize; 3],
    /// Fits of a task in a part that failed; the mean of the training models stands in for them.
    pub unfit: usize,
    /// Fits in all.
    pub fits: usize,
    /// Why the first of them failed.
    pub why: Option<String>,
}

/// The salience vector on one task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskRow {
    /// The task.
    pub task: String,
    /// Lowest and highest accuracy of all models.
    pub range: (f64, f64),
    /// Mean of |ŷ − y| over held-out models, by method, where it could be fitted.
    pub mae: Vec<(Method, f64)>,
    /// Whether it can be predicted, and by how much better than by the mean of the training models.
    pub verdict: Verdict,
    /// Held-out models whose accuracy lies in the 95 % band, of how many; none where no band could be
    /// drawn.
    pub covered: Option<(usize, usize)>,
    /// ŷ, its band and y of each held-out model.
    pub points: Vec<Point>,
}

/// A held-out model's accuracy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// The model.
    pub model: String,
    /// ŷ, with its band where there is one.
    pub predicted: f64,
    /// Limits of the band.
    pub band: Option<(f64, f64)>,
    /// y.
    pub observed: f64,
}

/// One part's predictions: by method, by task, by test model.
struct Predicted {
    split: Split,
    part: Part,
    by_method: Vec<Vec<std::result::Result<Vec<f64>, Unfit>>>,
    bands: Vec<Option<Vec<Interval>>>,
}

/// Holds out and predicts.
pub(crate) fn study(
    material: &Material,
    columns: &Prepared,
    domains: Option<(&Prepared, &[String])>,
    hold_out: HoldOut,
    settings: &Settings,
    watch: &Watch,
) -> Result<Study> {
    let clusters = clusters(material);
    let bench = Bench {
        material,
        columns,
        domains: domains.map(|(prepared, _)| prepared),
        domain_names: domains.map_or(&[], |(_, names)| names),
        clusters: &clusters,
        config: &settings.config,
    };
    let mut predicted = Vec::new();
    for split in parts(material, hold_out, settings.seed)? {
        watch.check()?;
        predicted.push(predict(&bench, split, hold_out, settings)?);
    }
    let targets = &material.targets;
    // Every number of every task and held-out model, in the order of parts.
    let over = |of: &dyn Fn(usize, &Predicted) -> Vec<f64>| -> Vec<Vec<f64>> {
        (0..targets.len()).map(|t| predicted.iter().flat_map(|part| of(t, part)).collect()).collect()
    };
    let observed = over(&|t, part| pick(&targets[t].accuracy, &part.split.test));
    let means = over(&|t, part| vec![train_mean(&targets[t], &part.split); part.split.test.len()]);
    let tested: Vec<usize> = predicted.iter().flat_map(|part| part.split.test.clone()).collect();
    let own: Vec<usize> = tested.iter().map(|m| clusters[*m]).collect();
    let pooled: Vec<usize> = targets.iter().flat_map(|_| own.clone()).collect();
    let errors: Vec<Option<Vec<f64>>> =
        material.errors.iter().map(|errors| errors.as_ref().map(|errors| pick(errors, &tested))).collect();
    let verdict = |t: usize, values: &[f64]| {
        judge_pooled(values, &means[t], &observed[t], errors[t].as_deref(), &own, &settings.bootstrap)
    };

    let values = |method: usize| {
        over(&|t, part| match &part.by_method[method][t] {
            Ok(values) => values.clone(),
            Err(_) => vec![train_mean(&targets[t], &part.split); part.split.test.len()],
        })
    };
    let all: Vec<Vec<Vec<f64>>> = (0..METHODS.len()).map(values).collect();
    let flat = |values: &[Vec<f64>]| values.concat();
    let y = flat(&observed);
    let mut rows = Vec::new();
    for (at, method) in METHODS.into_iter().enumerate() {
        watch.check()?;
        let fits = || predicted.iter().flat_map(|part| &part.by_method[at]);
        let unfit = fits().filter(|fit| fit.is_err()).count();
        let why = fits().find_map(|fit| fit.as_ref().err().cloned());
        let mut row = MethodRow {
            method,
            reads: method.reads(),
            mae: None,
            median: f64::NAN,
            spearman: None,
            behind: None,
            verdicts: [0; 3],
            unfit,
            fits: fits().count(),
            why,
        };
        if unfit < row.fits {
            let x = flat(&all[at]);
            let mae = |x: &[f64], y: &[f64]| evaluate::metrics(x, y).map_or(f64::NAN, |m| m.mae);
            row.mae = Some(evaluate::interval(&x, &y, &pooled, &settings.bootstrap, mae)?);
            row.median = evaluate::metrics(&x, &y)?.median;
            let ranks = (0..targets.len()).map(|t| Ok(evaluate::metrics(&all[at][t], &observed[t])?.spearman));
            let mut ranks: Vec<f64> = ranks.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect();
            row.spearman = (!ranks.is_empty()).then(|| evaluate::median(&mut ranks));
            if method != Method::Salience {
                row.behind = Some(evaluate::gain(&flat(&all[0]), &x, &y, &pooled, &settings.bootstrap)?);
            }
            for (t, values) in all[at].iter().enumerate() {
                row.verdicts[match verdict(t, values)? {
                    Verdict::Predictable { .. } => 0,
                    Verdict::NotPredictable { .. } => 1,
                    Verdict::Undecided { .. } => 2,
                }] += 1;
            }
        }
        rows.push(row);
    }
    let task = |t: usize| {
        let bands: Option<Vec<Interval>> =
            predicted.iter().map(|part| part.bands[t].clone()).collect::<Option<Vec<_>>>().map(|parts| parts.concat());
        let inside = |band: &Interval, y: f64| band.low <= y && y <= band.high;
        let covered = bands.as_ref().map(|bands| {
            let inside = bands.iter().zip(&observed[t]).filter(|(band, y)| inside(band, **y)).count();
            (inside, bands.len())
        });
        let point = |i: usize| Point {
            model: material.names[tested[i]].clone(),
            predicted: all[0][t][i],
            band: bands.as_ref().map(|bands| (bands[i].low, bands[i].high)),
            observed: observed[t][i],
        };
        let y = &targets[t].accuracy;
        let fitted = |at: &usize| predicted.iter().any(|part| part.by_method[*at][t].is_ok());
        let mae = |at: usize| Ok((METHODS[at], evaluate::metrics(&all[at][t], &observed[t])?.mae));
        Ok(TaskRow {
            task: targets[t].task.clone(),
            range: y.iter().fold((1.0, 0.0), |(low, high): (f64, f64), y| (low.min(*y), high.max(*y))),
            mae: (0..METHODS.len()).filter(fitted).map(mae).collect::<Result<_>>()?,
            verdict: verdict(t, &all[0][t])?,
            covered,
            points: (0..tested.len()).map(point).collect(),
        })
    };
    let tasks = (0..targets.len()).map(task).collect::<Result<_>>()?;
    let mut drawn = own.clone();
    drawn.sort_unstable();
    drawn.dedup();
    let parts = predicted.into_iter().map(|predicted| predicted.part).collect();
    Ok(Study { hold_out, parts, n: y.len(), clusters: drawn.len(), rows, tasks })
}

fn predict(bench: &Bench, split: Split, hold_out: HoldOut, settings: &Settings) -> Result<Predicted> {
    let targets = &bench.material.targets;
    let folds = folds(bench.material, &split, hold_out, settings.seed)?;
    let form = settings.config.form;
    let grid = bench.columns.grid(form, settings.lambdas);
    let choice = bench.columns.choose(targets, &folds, &settings.config, &grid)?;
    let domains = bench
        .domains
        .map(|prepared| prepared.choose(targets, &folds, &settings.config, &prepared.grid(form, settings.lambdas)))
        .transpose()?;
    let lambda = Lambdas { columns: choice.lambda, domains: domains.map_or(choice.lambda, |choice| choice.lambda) };
    let by_method = METHODS
        .iter()
        .map(|method| targets.par_iter().map(|target| bench.predict(*method, target, &split, lambda)).collect())
        .collect();
    let config = Config { lambda: choice.lambda, ..settings.config.clone() };
    let bands = targets
        .par_iter()
        .zip(&choice.residuals)
        .map(|(target, residuals)| {
            let (train, by) = (&split.train, &settings.bootstrap);
            let bands = bench.columns.bands(target, train, bench.clusters, &config, Some(residuals), by).ok()?;
            Some(split.test.iter().map(|&m| bands.accuracy[m]).collect())
        })
        .collect();
    let part = Part {
        name: split.name.clone(),
        train: split.train.len(),
        test: split.test.len(),
        lambda: choice.lambda,
        at_end: choice.at_end,
    };
    Ok(Predicted { split, part, by_method, bands })
}

/// What is held out.
fn parts(material: &Material, hold_out: HoldOut, seed: u64) -> Result<Vec<Split>> {
    let all: Vec<usize> = (0..material.names.len()).collect();
    // A sixth is held out, a fold of the rest, and a curve must still stand on what is left.
    if all.len() < 6 {
        return Err(Error::Nothing {
            problem: format!("{} models are too few to learn from some and to predict others", all.len()),
            hint: "give losses and accuracies of 6 models or more; 20 are a study".into(),
        });
    }
    let missing = |what: &str| Error::Nothing {
        problem: format!("{what} are not known, so none can be held out"),
        hint: "give --meta, or --hold-out random".into(),
    };
    Ok(match hold_out {
        HoldOut::Family => splits::leave_one_out(material.families.as_ref().ok_or_else(|| missing("families"))?, &all)?,
        HoldOut::Largest => {
            let sizes = material.params.as_ref().ok_or_else(|| missing("sizes"))?;
            vec![splits::growing(sizes, &all, 1)?.pop().ok_or_else(|| missing("sizes"))?]
        }
        HoldOut::Random => splits::random(&all, 5.min(all.len() / 2), seed)?,
    })
}

/// Folds of the training models on which λ is chosen: they ask what the split asks.
fn folds(material: &Material, split: &Split, hold_out: HoldOut, seed: u64) -> Result<Vec<Split>> {
    let random = || splits::random(&split.train, 5.min(split.train.len()), seed);
    let folds = match (hold_out, &material.families, &material.params) {
        (HoldOut::Family, Some(families), _) => splits::leave_one_out(families, &split.train).or_else(|_| random()),
        (HoldOut::Largest, _, Some(sizes)) => {
            // From two sizes on, where there are three.
            splits::growing(sizes, &split.train, 2).or_else(|_| random())
        }
        _ => random(),
    };
    Ok(folds?)
}

/// Models that are drawn together: those of one family and size, where both are known; else each alone.
fn clusters(material: &Material) -> Vec<usize> {
    let Some((families, sizes)) = material.families.as_ref().zip(material.params.as_ref()) else {
        return (0..material.names.len()).collect();
    };
    let keys: Vec<(&String, u64)> = families.iter().zip(sizes).map(|(f, n)| (f, n.to_bits())).collect();
    keys.iter().map(|key| keys.iter().position(|other| other == key).unwrap_or(0)).collect()
}

fn train_mean(target: &Target, split: &Split) -> f64 {
    pick(&target.accuracy, &split.train).iter().sum::<f64>() / split.train.len() as f64
}

/// λ for a vector that is fitted to all models, chosen as if each part were held out.
pub(crate) fn lambda_of_all(
    material: &Material,
    columns: &Prepared,
    hold_out: HoldOut,
    settings: &Settings,
) -> Result<f64> {
    let folds = match hold_out {
        // One part alone would choose by one size; models of that size are learned from here.
        HoldOut::Largest => {
            let all: Vec<usize> = (0..material.names.len()).collect();
            folds(material, &Split { name: String::new(), train: all, test: Vec::new() }, hold_out, settings.seed)?
        }
        _ => parts(material, hold_out, settings.seed)?,
    };
    let grid = columns.grid(settings.config.form, settings.lambdas);
    Ok(columns.choose(&material.targets, &folds, &settings.config, &grid)?.lambda)
}

impl HoldOut {
    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Family => "one family held out at a time",
            Self::Largest => "extrapolation to the largest size",
            Self::Random => "a random fifth held out at a time",
        }
    }
}

/// Signed weights, as in the paper, where nothing else is asked.
impl Default for Settings {
    fn default() -> Self {
        let config = Config { form: Form::Signed, ..Config::default() };
        Self { config, bootstrap: Bootstrap { replicates: 200, ..Bootstrap::default() }, lambdas: 17, seed: 0 }
    }
}
