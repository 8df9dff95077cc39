use serde::{Deserialize, Serialize};

use crate::check::{self, Checked};

/// φ-Decoding (arXiv 2503.13288): steps are drawn by how much better what follows them became
/// (advantage) and by how many continuations agree with it (alignment).
///
/// Per step: draw M·N candidate steps; drop those with log-probability below μ − kσ; look ahead once
/// from each that is left; p = ½ softmax(A/τ₁) + ½ softmax(C/τ₂); draw M from p without replacement;
/// stop looking ahead when one cluster holds a share of at least δ.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Phi {
    /// M: paths that are kept, 1 to 256.
    pub beams: usize,
    /// N: steps that each draws, 1 to 256.
    pub rollouts: usize,
    /// K: clusters of the texts seen ahead, 1 to 256.
    pub clusters: usize,
    /// δ, in [0, 1]: looking ahead ends when the largest cluster holds this share of the paths.
    pub stop_share: f64,
    /// Tmin: the first step at which it may end so.
    pub t_min: usize,
    /// Tmax: the last step that is looked ahead from, 1 to 1000.
    pub t_max: usize,
    /// k, 0 or more: steps below μ − k·σ are pruned.
    pub width_deviations: f64,
    /// Pruned steps come back by softmax(s / this) while fewer than M are left.
    pub refill_temperature: f64,
    /// τ₁, above 0.
    pub advantage_temperature: f64,
    /// τ₂, above 0.
    pub alignment_temperature: f64,
    /// Logits are divided by it when a step is drawn, in [0, 100].
    pub step_temperature: f32,
    /// The same when looking ahead.
    pub foresight_temperature: f32,
    /// The same when the paths are completed.
    pub final_temperature: f32,
    /// Tokens that a look ahead may take, 0 for the rest of the path.
    pub foresight_tokens: usize,
    /// Whether to look ahead at all. Without, F is the step's own mean log-probability, and the
    /// steps' own texts are clustered.
    pub foresight: bool,
    /// How texts are compared. Without, p = softmax(A/τ₁), and looking ahead never ends early.
    pub clustering: Clustering,
    /// Whether improbable steps are pruned before looking ahead.
    pub width_pruning: bool,
    /// Whether looking ahead may end early.
    pub depth_pruning: bool,
    /// How the answer is chosen among the completed paths.
    pub pick: Pick,
    /// For [`Pick::Cluster`]: K of the clusters among the completed paths.
    pub pick_clusters: usize,
    /// For [`Pick::Cluster`]: the answer is drawn by softmax(A / this), above 0.
    pub pick_temperature: f64,
}

/// How texts are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Clustering {
    /// Not at all.
    Off,
    /// By the words that they share, rare ones counting more.
    TfIdf,
    /// By the vectors of an encoder, which must be given.
    Encoder,
}

/// How the answer is chosen among the completed paths, whose A and C are computed as a step's are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pick {
    /// The one with the largest p.
    Value,
    /// Drawn by advantage from the largest of `pick_clusters` clusters.
    Cluster,
}

impl Default for Phi {
    fn default() -> Self {
        Self::paper()
    }
}

impl Phi {
    /// The settings that the paper gives.
    pub fn paper() -> Self {
        Self {
            beams: 4,
            rollouts: 4,
            clusters: 3,
            stop_share: 0.7,
            t_min: 4,
            t_max: 8,
            width_deviations: 1.0,
            refill_temperature: 0.1,
            advantage_temperature: 0.6,
            alignment_temperature: 0.6,
            step_temperature: 0.6,
            foresight_temperature: 1.0,
            final_temperature: 1.0,
            foresight_tokens: 0,
            foresight: true,
            clustering: Clustering::TfIdf,
            width_pruning: true,
            depth_pruning: true,
            pick: Pick::Value,
            pick_clusters: 2,
            pick_temperature: 0.1,
        }
    }

    /// The settings of the authors' code. Its mistakes are mended: no step is refused for a negative
    /// advantage, clusters are looked up where they are, and better is never taken for worse.
    pub fn released() -> Self {
        Self {
            stop_share: 0.69,
            advantage_temperature: 0.1,
            alignment_temperature: 1.0,
            pick: Pick::Cluster,
            ..Self::paper()
        }
    }

    pub(crate) fn validate(&self) -> Checked {
        check::count("beams", self.beams, 1, 256)?;
        check::count("rollouts", self.rollouts, 1, 256)?;
        check::count("clusters", self.clusters, 1, 256)?;
        check::share("stop_share", self.stop_share)?;
        check::count("t_min", self.t_min, 1, 1000)?;
        check::count("t_max", self.t_max, 1, 1000)?;
        if !self.width_deviations.is_finite() || self.width_deviations < 0.0 {
            return Err("`width_deviations` must be finite and 0 or more".into());
        }
        check::positive("refill_temperature", self.refill_temperature)?;
        check::positive("advantage_temperature", self.advantage_temperature)?;
        check::positive("alignment_temperature", self.alignment_temperature)?;
        check::temperature("step_temperature", self.step_temperature)?;
        check::temperature("foresight_temperature", self.foresight_temperature)?;
        check::temperature("final_temperature", self.final_temperature)?;
        check::count("pick_clusters", self.pick_clusters, 1, 256)?;
        check::positive("pick_temperature", self.pick_temperature)
    }
}
