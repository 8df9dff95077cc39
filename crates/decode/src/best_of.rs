use serde::{Deserialize, Serialize};

use crate::check::{self, Checked};
use crate::session::Session;
use crate::{Error, Result, Search, weigh};

/// Many paths, drawn; the best one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BestOf {
    /// How many paths, up to 4096; 0: as many as the budget pays.
    pub n: usize,
    /// What makes a path the best.
    pub by: By,
    /// Logits are divided by it, in [0, 100].
    pub temperature: f32,
    /// Keep the smallest set of tokens whose probability reaches this, in (0, 1].
    pub top_p: f32,
}

/// What makes a path the best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// The mean log-probability of its tokens.
    Logprob,
    /// The answer that most give; among those who give it, the mean log-probability where known.
    Vote,
    /// A given scorer.
    Scorer,
}

impl By {
    /// How a name says it.
    pub(crate) fn ending(self) -> &'static str {
        match self {
            Self::Logprob => "",
            Self::Vote => "-vote",
            Self::Scorer => "-scorer",
        }
    }
}

impl Default for BestOf {
    fn default() -> Self {
        Self { n: 8, by: By::Logprob, temperature: 0.7, top_p: 1.0 }
    }
}

impl BestOf {
    pub(crate) fn validate(&self) -> Checked {
        check::count("n", self.n, 0, 4096)?;
        check::temperature("temperature", self.temperature)?;
        self.draw().validate().map_err(|error| error.to_string())
    }

    pub(crate) fn draw(&self) -> lm::Sampling {
        lm::Sampling { temperature: self.temperature, top_p: self.top_p, ..lm::Sampling::default() }
    }

    /// Splits what a name says about the choice off its end.
    pub(crate) fn ending(rest: &str) -> (&str, By) {
        let split = |by: By| rest.strip_suffix(by.ending()).map(|rest| (rest, by));
        split(By::Vote).or_else(|| split(By::Scorer)).unwrap_or((rest, By::Logprob))
    }
}

/// Draws paths, and takes the best.
pub(crate) async fn search(mut session: Session<'_>, settings: &BestOf) -> Result<Search> {
    let scorer = session.tools.scorer;
    match settings.by {
        By::Logprob => session.need_logprobs()?,
        By::Scorer if scorer.is_none() => {
            return Err(Error::Needs {
                strategy: session.strategy.name(),
                what: "a scorer, and none is given",
                hint: "take best-of by log-probability or by vote",
            });
        }
        By::Vote | By::Scorer => {}
    }
    let drawn = session.draw_paths(settings.n, settings.draw(), 0).await?;
    let leaves = session.whole(&drawn);
    let (values, why) = match (settings.by, scorer) {
        (By::Vote, _) => {
            let shares = session.vote(&leaves);
            (shares, "the most probable path with the answer that most give")
        }
        (By::Scorer, Some(scorer)) => {
            let texts: Vec<String> = leaves.iter().map(|leaf| session.path_text(*leaf)).collect();
            let scores = scorer.score(&session.request.prompt, &texts).await;
            let scores = scores.map_err(|source| Error::Model { node: 0, operation: "score paths", source })?;
            if scores.len() != leaves.len() {
                let source = lm::Error::Engine(format!("{} scores for {} texts", scores.len(), leaves.len()));
                return Err(Error::Model { node: 0, operation: "score paths", source });
            }
            (scores, "the scorer likes it best")
        }
        _ => {
            // A path without a token of its own has no probability to be chosen by.
            let mean = |leaf: &usize| session.nodes[*leaf].logprob.unwrap_or(f64::MIN);
            (leaves.iter().map(mean).collect(), "the best mean log-probability")
        }
    };
    for (leaf, value) in leaves.iter().zip(&values) {
        if !value.is_finite() {
            return Err(Error::NonFinite { node: *leaf, what: "the score" });
        }
        session.change(*leaf, |node| node.value = Some(*value));
    }
    let chosen = match settings.by {
        By::Vote => session.winner(&leaves, &values),
        _ => weigh::largest(&values).map_or(0, |i| leaves[i]),
    };
    session.last_round(&leaves, &values, chosen);
    Ok(session.end(chosen, why))
}
