use serde::{Deserialize, Serialize};

use crate::Judge;
use crate::check::{self, Checked};

/// Monte Carlo tree search over steps, as RAP does it (Hao et al. 2023).
///
/// Each simulation goes down by UCT, Q + c·√(ln N(parent) / N), opens the leaf that it meets,
/// continues the most probable new step to the end, and gives the reward of that path to every step
/// on it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Mcts {
    /// Simulations, 1 to 10000.
    pub simulations: usize,
    /// Steps that a leaf draws when it is opened, 1 to 256.
    pub branch: usize,
    /// Depth at most, 1 to 1000.
    pub max_steps: usize,
    /// c, 0 or more.
    pub exploration: f64,
    /// What a whole path earns.
    pub reward: Reward,
    /// α, in [0, 1], for both: reward = exp(mean log p)^α · judgement^(1−α).
    pub reward_power: f64,
    /// Logits are divided by it when a step is drawn, in [0, 100].
    pub step_temperature: f32,
    /// The same for the continuation to the end.
    pub simulation_temperature: f32,
    /// What the model is asked about a path.
    pub judge: Judge,
}

/// What a whole path earns, in [0, 1].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reward {
    /// The geometric mean of its tokens' probabilities, exp(mean log p).
    Logprob,
    /// What the model thinks of it.
    SelfEvaluation,
    /// The weighted geometric mean of both.
    Both,
}

impl Reward {
    /// How a name says it.
    pub(crate) fn ending(self) -> &'static str {
        match self {
            Self::Logprob => "",
            Self::SelfEvaluation => "-self",
            Self::Both => "-both",
        }
    }
}

impl Default for Mcts {
    fn default() -> Self {
        Self {
            simulations: 16,
            branch: 4,
            max_steps: 8,
            exploration: 1.0,
            reward: Reward::Logprob,
            reward_power: 0.5,
            step_temperature: 0.6,
            simulation_temperature: 1.0,
            judge: Judge::default(),
        }
    }
}

impl Mcts {
    pub(crate) fn validate(&self) -> Checked {
        check::count("simulations", self.simulations, 1, 10_000)?;
        check::count("branch", self.branch, 1, 256)?;
        check::count("max_steps", self.max_steps, 1, 1000)?;
        if !self.exploration.is_finite() || self.exploration < 0.0 {
            return Err("`exploration` must be finite and 0 or more".into());
        }
        check::share("reward_power", self.reward_power)?;
        check::temperature("step_temperature", self.step_temperature)?;
        check::temperature("simulation_temperature", self.simulation_temperature)?;
        self.judge.validate()
    }

    /// The settings that the end of a name says.
    pub(crate) fn named(ending: &str) -> Option<Self> {
        let rewards = [Reward::Logprob, Reward::SelfEvaluation, Reward::Both];
        let reward = rewards.into_iter().find(|reward| reward.ending() == ending)?;
        Some(Self { reward, ..Self::default() })
    }
}
