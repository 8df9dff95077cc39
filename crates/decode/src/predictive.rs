use serde::{Deserialize, Serialize};

use crate::check::{self, Checked};
use crate::session::Session;
use crate::{Fate, Result, Round, Search, weigh};

/// Predictive decoding (Ma et al. 2024): foresight alone. Each step is drawn from softmax(F/τ), F
/// being the mean log-probability of one continuation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Predictive {
    /// M: paths that are kept, 1 to 256.
    pub beams: usize,
    /// N: steps that each draws, 1 to 256.
    pub rollouts: usize,
    /// Steps that are looked ahead from, 1 to 1000; then each path is completed at once.
    pub max_steps: usize,
    /// τ, above 0.
    pub tau: f64,
    /// Logits are divided by it when a step is drawn, in [0, 100].
    pub step_temperature: f32,
    /// The same when looking ahead.
    pub foresight_temperature: f32,
    /// The same when the paths are completed.
    pub final_temperature: f32,
    /// Tokens that a look ahead may take, 0 for the rest of the path.
    pub foresight_tokens: usize,
}

impl Default for Predictive {
    fn default() -> Self {
        Self {
            beams: 4,
            rollouts: 4,
            max_steps: 8,
            tau: 0.1,
            step_temperature: 0.6,
            foresight_temperature: 1.0,
            final_temperature: 1.0,
            foresight_tokens: 0,
        }
    }
}

impl Predictive {
    pub(crate) fn validate(&self) -> Checked {
        check::count("beams", self.beams, 1, 256)?;
        check::count("rollouts", self.rollouts, 1, 256)?;
        check::count("max_steps", self.max_steps, 1, 1000)?;
        check::positive("tau", self.tau)?;
        check::temperature("step_temperature", self.step_temperature)?;
        check::temperature("foresight_temperature", self.foresight_temperature)?;
        check::temperature("final_temperature", self.final_temperature)
    }
}

/// Draws steps by how probable what follows them is.
pub(crate) async fn search(mut session: Session<'_>, settings: &Predictive) -> Result<Search> {
    session.need_logprobs()?;
    let mut open = vec![0];
    let mut ended: Vec<usize> = Vec::new();
    for number in 1..=settings.max_steps {
        let n = if number == 1 { settings.rollouts * settings.beams } else { settings.rollouts };
        let Some(candidates) = session.roll_out(&open, n, settings.step_temperature).await? else { break };
        if !session.foresee(&candidates, settings.foresight_temperature, settings.foresight_tokens).await? {
            session.leave(&candidates);
            break;
        }
        let outlooks = session.outlooks(&candidates);
        let values = weigh::softmax(&outlooks, settings.tau);
        let places = settings.beams - ended.len();
        let drawn = weigh::draw(&values, places, &mut session.rng(0, &format!("pick{number}")));
        let kept: Vec<usize> = drawn.iter().map(|i| candidates[*i]).collect();
        for (i, id) in candidates.iter().enumerate() {
            session.change(*id, |node| node.value = Some(values[i]));
        }
        session.sort_out(&candidates, &kept);
        session.round(Round {
            round: number,
            candidates: candidates.clone(),
            survivors: candidates,
            kept: kept.clone(),
            values,
            ..Round::default()
        });
        let (whole, rest): (Vec<usize>, Vec<usize>) = kept.into_iter().partition(|id| session.nodes[*id].finished);
        ended.extend(whole);
        open = rest;
        session.certain(&[ended.as_slice(), open.as_slice()].concat());
        if open.is_empty() {
            break;
        }
    }
    let leaves = session.complete(&[ended, open].concat(), settings.final_temperature).await?;
    let leaves = session.whole(&leaves);
    let values = weigh::softmax(&session.outlooks(&leaves), settings.tau);
    let chosen = weigh::largest(&values).map_or(0, |i| leaves[i]);
    session.last_round(&leaves, &values, chosen);
    Ok(session.end(chosen, "the most probable rest"))
}

impl Session<'_> {
    /// F of each node; what has no token to be judged by counts as the least of them.
    pub fn outlooks(&self, nodes: &[usize]) -> Vec<f64> {
        let known: Vec<Option<f64>> = nodes.iter().map(|id| self.nodes[*id].outlook()).collect();
        let least = known.iter().flatten().copied().reduce(f64::min).unwrap_or(0.0);
        known.into_iter().map(|outlook| outlook.unwrap_or(least)).collect()
    }

    /// Says of each candidate of a draw whether it was taken.
    pub fn sort_out(&mut self, candidates: &[usize], kept: &[usize]) {
        for id in candidates {
            let value = self.nodes[*id].value.unwrap_or(0.0);
            let (fate, why) = match (kept.contains(id), self.nodes[*id].finished) {
                (true, true) => (Fate::Completed, format!("drawn with probability {value:.3}; the path ends here")),
                (true, false) => (Fate::Kept, format!("drawn with probability {value:.3}")),
                (false, _) => (Fate::NotSampled, format!("not drawn, with probability {value:.3}")),
            };
            self.fate(*id, fate, why);
        }
    }

    /// Says that the budget ended before these candidates could be judged.
    pub fn leave(&mut self, candidates: &[usize]) {
        for id in candidates {
            self.fate(*id, Fate::Cut, "the budget ended before it could be looked ahead from");
        }
    }
}
