use serde::{Deserialize, Serialize};

use crate::check::{self, Checked};
use crate::session::Session;
use crate::{Result, Search, greedy};

/// One path, drawn.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sampling {
    /// Logits are divided by it, in [0, 100].
    pub temperature: f32,
    /// Keep the k most probable tokens; 0 keeps all.
    pub top_k: usize,
    /// Keep the smallest set of tokens whose probability reaches this, in (0, 1].
    pub top_p: f32,
    /// Drop tokens less probable than this share of the most probable one, in [0, 1).
    pub min_p: f32,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { temperature: 0.8, top_k: 0, top_p: 1.0, min_p: 0.0 }
    }
}

impl Sampling {
    pub(crate) fn validate(&self) -> Checked {
        check::temperature("temperature", self.temperature)?;
        self.draw().validate().map_err(|error| error.to_string())
    }

    /// The same for the model.
    pub(crate) fn draw(&self) -> lm::Sampling {
        lm::Sampling {
            temperature: self.temperature,
            top_k: self.top_k,
            top_p: self.top_p,
            min_p: self.min_p,
            ..lm::Sampling::default()
        }
    }
}

/// One path, drawn; its text is passed on as it comes.
pub(crate) async fn search(session: Session<'_>, settings: &Sampling) -> Result<Search> {
    greedy::single(session, settings.draw(), "drawn").await
}
