use ::irt::{Mml, Model};
use exam::scored::{Scored, Whole};
use marks::Marks;
use serde::Serialize;

use super::{Calibration, Settings};
use crate::{Error, Result};

/// The model of responses that a user asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Choice {
    /// What the data bear.
    Auto,
    /// This one.
    Of(Model),
    /// Raters, items and persons on one scale.
    Facets,
    /// So many abilities at once.
    Abilities(usize),
}

impl Choice {
    /// Names as they are typed, and what they mean.
    const NAMES: [(&str, Self); 11] = [
        ("auto", Self::Auto),
        ("rasch", Self::Of(Model::Rasch)),
        ("2pl", Self::Of(Model::TwoPl)),
        ("3pl", Self::Of(Model::ThreePl)),
        ("4pl", Self::Of(Model::FourPl)),
        ("rsm", Self::Of(Model::RatingScale)),
        ("pcm", Self::Of(Model::PartialCredit)),
        ("gpcm", Self::Of(Model::GeneralizedPartialCredit)),
        ("grm", Self::Of(Model::Graded)),
        ("facets", Self::Facets),
        ("mirt-2", Self::Abilities(2)),
    ];

    /// From its name.
    pub fn parse(name: &str) -> Result<Self> {
        let found = Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, choice)| *choice);
        found.ok_or_else(|| Error::Nothing {
            problem: format!("no model of responses is called {name:?}"),
            hint: format!("one of {}", Self::NAMES.map(|(name, _)| name).join(", ")),
        })
    }
}

/// A model's name as it is typed.
pub(super) fn name(model: Model) -> &'static str {
    Choice::NAMES.iter().find(|(_, choice)| *choice == Choice::Of(model)).map_or("", |(name, _)| name)
}

/// How a model is fitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// Marginal maximum likelihood.
    Mml,
    /// Conditional maximum likelihood: no assumption about persons; Rasch and partial credit only.
    Cml,
    /// Joint maximum likelihood with the usual correction; biased.
    Jml,
    /// Posterior by Hamiltonian Monte Carlo, for small samples; right and wrong only.
    Bayes,
}

impl Method {
    /// As it is typed.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Mml => "mml",
            Self::Cml => "cml",
            Self::Jml => "jml",
            Self::Bayes => "bayes",
        }
    }
}

/// What is fitted, and how.
pub(super) struct Plan {
    pub model: Model,
    pub method: Method,
    /// Whether every item is made right or wrong.
    pub binary: bool,
    pub facets: bool,
    /// Abilities of the model with several; 0 for none.
    pub planes: usize,
    /// Why, and what a reader must be warned of.
    pub why: Vec<String>,
}

/// Persons below which priors are needed.
const FEW: usize = 30;

/// Persons below which slopes of items are mostly noise.
const SLOPES: usize = 200;

/// Responses above which chains take minutes.
const CHAINS: usize = 60_000;

/// Chooses what the data bear, or checks what was asked for.
pub(super) fn choose(marks: &Marks, settings: &Settings, anchor: Option<&Calibration>) -> Result<Plan> {
    let whole = |keep_alike| Whole {
        levels: settings.levels,
        known: anchor.map(Calibration::cuts).unwrap_or_default(),
        keep_alike,
        ..Whole::default()
    };
    // Whoever answered counts, also where only priors can bear the answers.
    let scored = Scored::new(marks, &whole(true))?;
    let n = scored.responses.persons();
    let steps = scored.items.iter().any(|scale| scale.cuts.len() > 1);
    let size = marks.rows().len();
    let mut why = Vec::new();
    let planes = if let Choice::Abilities(n) = settings.model { n } else { 0 };
    let asked = match settings.model {
        Choice::Of(model) => Some(model),
        Choice::Abilities(_) => Some(Model::TwoPl),
        Choice::Auto | Choice::Facets => None,
    };
    let wrong = |problem: String, hint: &str| Err(Error::Nothing { problem, hint: hint.into() });
    let mut binary = asked.is_some_and(Model::dichotomous) || settings.method == Some(Method::Bayes);
    let model = if let Some(anchor) = anchor {
        if asked.is_some_and(|asked| asked != anchor.model) {
            return wrong(
                format!("the anchor was calibrated by {}, not by {}", name(anchor.model), asked.map_or("", name)),
                "leave --fit out",
            );
        }
        why.push(format!("{}: the model of the anchor", name(anchor.model)));
        binary = anchor.model.dichotomous();
        anchor.model
    } else if let Some(model) = asked {
        why.push(format!("{}: asked for", name(model)));
        model
    } else if settings.method == Some(Method::Bayes) || (n < FEW && settings.method.is_none() && size <= CHAINS) {
        binary = true;
        why.push(format!(
            "rasch, by the posterior: {n} persons are fewer than {FEW}, so that slopes of items are not identified and \
             maximum likelihood promises too much"
        ));
        Model::Rasch
    } else if n < SLOPES || matches!(settings.method, Some(Method::Cml | Method::Jml)) {
        let model = if steps { Model::PartialCredit } else { Model::Rasch };
        why.push(match settings.method {
            Some(method @ (Method::Cml | Method::Jml)) => {
                format!("{}: {} has one slope for all items", name(model), method.name())
            }
            _ => {
                format!("{}: {n} persons are fewer than the {SLOPES} that a slope for each item asks for", name(model))
            }
        });
        model
    } else {
        let pair = match steps {
            true => [Model::PartialCredit, Model::GeneralizedPartialCredit],
            false => [Model::Rasch, Model::TwoPl],
        };
        let scored = Scored::new(marks, &whole(false))?;
        let bic = |model| -> Result<f64> { Ok(Mml { model, ..Mml::default() }.fit(&scored.responses)?.bic(n)) };
        // Without two items there is nothing to choose between; the caller says so.
        let [plain, slopes] = if scored.responses.items() < 2 { [0.0, 0.0] } else { [bic(pair[0])?, bic(pair[1])?] };
        let chosen = if slopes < plain { pair[1] } else { pair[0] };
        why.push(format!(
            "{}: BIC {plain:.1} with one slope ({}), {slopes:.1} with a slope an item ({}); the lower one is taken",
            name(chosen),
            name(pair[0]),
            name(pair[1])
        ));
        chosen
    };
    let method = settings.method.unwrap_or(match (anchor, model, asked) {
        (None, Model::Rasch, _) | (None, Model::TwoPl, Some(_)) if n < FEW && size <= CHAINS && planes == 0 => {
            Method::Bayes
        }
        _ => Method::Mml,
    });
    if method == Method::Bayes {
        binary = true;
    }
    check(model, method, anchor.is_some())?;
    if binary && steps {
        why.push("scores between nothing and all are made right (half of the marks or more) or wrong".into());
    }
    warn(&mut why, model, method, n, anchor.is_some());
    if settings.model == Choice::Facets && marks.graders().len() < 2 {
        return wrong(
            format!("a many-facet model needs two graders, the logs name {}", marks.graders().len()),
            "give logs with a column `grader` (or rater, judge), or another --fit",
        );
    }
    Ok(Plan { model, method, binary, facets: settings.model == Choice::Facets, planes, why })
}

fn check(model: Model, method: Method, anchored: bool) -> Result<()> {
    let one_slope = matches!(model, Model::Rasch | Model::PartialCredit);
    let (problem, hint) = match method {
        Method::Cml | Method::Jml if !one_slope => {
            (format!("{} cannot fit {}: it is for rasch and pcm", method.name(), name(model)), "take --method mml")
        }
        Method::Bayes if !matches!(model, Model::Rasch | Model::TwoPl) => {
            (format!("bayes cannot fit {}: it is for rasch and 2pl", name(model)), "take --method mml")
        }
        Method::Cml | Method::Jml | Method::Bayes if anchored => {
            (format!("{} takes no anchors", method.name()), "take --method mml")
        }
        _ => return Ok(()),
    };
    Err(Error::Nothing { problem, hint: hint.into() })
}

fn warn(why: &mut Vec<String>, model: Model, method: Method, n: usize, anchored: bool) {
    if method == Method::Jml {
        why.push(
            "joint likelihood is biased: difficulties are corrected by (L − 1) / L, abilities are not, and errors are too \
             small; prefer mml or cml"
                .into(),
        );
    }
    if anchored {
        return;
    }
    let slopes = !model.raw_score_suffices();
    if slopes && n < FEW {
        why.push(format!(
            "{n} persons do not identify a slope for each item: what is shown leans on the prior (ln a ~ N(0, 0.5²)); prefer \
             rasch"
        ));
    } else if slopes && n < SLOPES {
        why.push(format!(
            "{n} persons give slopes of items wide errors; a prior (ln a ~ N(0, 0.5²)) holds them; prefer rasch"
        ));
    }
    if method != Method::Bayes && n < FEW {
        why.push(format!(
            "{n} persons are few: maximum likelihood is biased and its errors are too small; prefer --method bayes"
        ));
    }
}
