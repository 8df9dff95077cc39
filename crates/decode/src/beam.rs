use serde::{Deserialize, Serialize};

use crate::check::{self, Checked};
use crate::session::Session;
use crate::{Fate, Result, Round, Search, weigh};

/// Beam search over steps: each beam draws some steps, the most probable paths stay.
///
/// A path's score is Σ log p / tokens^α over its tokens, α being `length_power`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Beam {
    /// Paths that are kept, 1 to 256.
    pub width: usize,
    /// Steps that each draws, 1 to 256. Equal texts count once.
    pub branch: usize,
    /// Logits are divided by it when a step is drawn, in [0, 100].
    pub temperature: f32,
    /// α, in [0, 1]: 0 sums log-probabilities, 1 takes their mean.
    pub length_power: f64,
    /// Steps at most, 1 to 10000; then each path is completed at once.
    pub max_steps: usize,
}

impl Default for Beam {
    fn default() -> Self {
        Self { width: 4, branch: 4, temperature: 0.6, length_power: 1.0, max_steps: 64 }
    }
}

impl Beam {
    pub(crate) fn validate(&self) -> Checked {
        check::count("width", self.width, 1, 256)?;
        check::count("branch", self.branch, 1, 256)?;
        check::count("max_steps", self.max_steps, 1, 10_000)?;
        check::temperature("temperature", self.temperature)?;
        check::share("length_power", self.length_power)
    }
}

/// Σ log p / tokens^α over a path.
fn score(session: &Session<'_>, node: usize, length_power: f64) -> f64 {
    let (sum, tokens) = session.path_logprob(node);
    sum / (tokens.max(1) as f64).powf(length_power)
}

/// Keeps the most probable paths, step by step; paths that have ended compete with the others.
pub(crate) async fn search(mut session: Session<'_>, settings: &Beam) -> Result<Search> {
    session.need_logprobs()?;
    let mut beams = vec![0];
    for number in 1..=settings.max_steps {
        let open: Vec<usize> = beams.iter().copied().filter(|id| !session.nodes[*id].finished).collect();
        let n = if number == 1 { settings.branch * settings.width } else { settings.branch };
        let Some(drawn) = session.roll_out(&open, n, settings.temperature).await? else { break };
        let ended = beams.iter().copied().filter(|id| session.nodes[*id].finished).collect::<Vec<_>>();
        let candidates: Vec<usize> = ended.into_iter().chain(session.different(&drawn)).collect();
        let values: Vec<f64> = candidates.iter().map(|id| score(&session, *id, settings.length_power)).collect();
        beams = session.keep_best(number, &candidates, &values, settings.width);
        if beams.iter().all(|id| session.nodes[*id].finished) {
            break;
        }
    }
    let leaves = session.complete(&beams, settings.temperature).await?;
    let leaves = session.whole(&leaves);
    let values: Vec<f64> = leaves.iter().map(|id| score(&session, *id, settings.length_power)).collect();
    let chosen = weigh::largest(&values).map_or(0, |i| leaves[i]);
    session.last_round(&leaves, &values, chosen);
    Ok(session.end(chosen, "the most probable path"))
}

impl Session<'_> {
    /// A round that keeps the `width` largest values; they, best first.
    pub fn keep_best(&mut self, number: usize, candidates: &[usize], values: &[f64], width: usize) -> Vec<usize> {
        let order = weigh::ranked(values);
        let kept: Vec<usize> = order.iter().take(width).map(|i| candidates[*i]).collect();
        for (place, i) in order.iter().enumerate() {
            let (id, of) = (candidates[*i], candidates.len());
            let (fate, why) = match (place < width, self.nodes[id].finished) {
                (true, true) => (Fate::Completed, format!("ended, at place {} of {of}", place + 1)),
                (true, false) => (Fate::Kept, format!("kept, at place {} of {of}", place + 1)),
                (false, _) => (Fate::WidthPruned, format!("at place {} of {of}, and {width} are kept", place + 1)),
            };
            self.change(id, |node| (node.value, node.fate, node.why) = (Some(values[*i]), fate, why));
        }
        self.round(Round {
            round: number,
            candidates: candidates.to_vec(),
            survivors: candidates.to_vec(),
            kept: kept.clone(),
            values: values.to_vec(),
            ..Round::default()
        });
        self.certain(&kept);
        kept
    }
}
