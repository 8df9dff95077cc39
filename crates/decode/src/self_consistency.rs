use serde::{Deserialize, Serialize};

use crate::check::{self, Checked};
use crate::session::Session;
use crate::{Result, Search};

/// Many paths, drawn; the answer that most of them give (Wang et al. 2022).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SelfConsistency {
    /// How many paths, up to 4096; 0: as many as the budget pays.
    pub n: usize,
    /// Logits are divided by it, in [0, 100].
    pub temperature: f32,
    /// Keep the smallest set of tokens whose probability reaches this, in (0, 1].
    pub top_p: f32,
}

impl Default for SelfConsistency {
    fn default() -> Self {
        Self { n: 8, temperature: 0.7, top_p: 1.0 }
    }
}

impl SelfConsistency {
    pub(crate) fn validate(&self) -> Checked {
        check::count("n", self.n, 0, 4096)?;
        check::temperature("temperature", self.temperature)?;
        self.draw().validate().map_err(|error| error.to_string())
    }

    pub(crate) fn draw(&self) -> lm::Sampling {
        lm::Sampling { temperature: self.temperature, top_p: self.top_p, ..lm::Sampling::default() }
    }
}

/// Draws paths, and answers what most of them answer.
pub(crate) async fn search(mut session: Session<'_>, settings: &SelfConsistency) -> Result<Search> {
    let drawn = session.draw_paths(settings.n, settings.draw(), 0).await?;
    let leaves = session.whole(&drawn);
    let shares = session.vote(&leaves);
    let chosen = session.winner(&leaves, &shares);
    let winning = session.nodes[chosen].answer.clone();
    session.last_round(&leaves, &shares, chosen);
    let why = match winning {
        Some(answer) => format!("most paths answer {answer:?}; this one is the most probable of them"),
        None => "no path answers anything; this one is the most probable".into(),
    };
    Ok(session.end(chosen, &why))
}
