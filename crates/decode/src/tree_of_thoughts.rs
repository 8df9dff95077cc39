use serde::{Deserialize, Serialize};

use crate::check::{self, Checked};
use crate::session::Session;
use crate::{Result, Search, weigh};

/// Breadth-first search over steps, valued by asking the model itself (Yao et al. 2023).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TreeOfThoughts {
    /// Paths that are kept, 1 to 256.
    pub width: usize,
    /// Steps that each draws, 1 to 256. Equal texts are asked about once.
    pub branch: usize,
    /// Logits are divided by it when a step is drawn, in [0, 100].
    pub temperature: f32,
    /// Steps at most, 1 to 1000; then each path is completed at once.
    pub max_steps: usize,
    /// What the model is asked about a path.
    pub judge: Judge,
}

/// How the model is asked what it thinks of a path. The value is P(yes) / (P(yes) + P(no)), scored
/// where the model can score, else the share of `votes` drawn answers that begin with `yes`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Judge {
    /// Stands after the question and the path.
    pub question: String,
    /// The good answer.
    pub yes: String,
    /// The bad answer.
    pub no: String,
    /// Answers that are drawn where the model cannot score, 1 to 64.
    pub votes: usize,
}

impl Default for Judge {
    fn default() -> Self {
        Self {
            question: "Is this work correct so far, and does it lead to the answer? Reply with Yes or No.".into(),
            yes: "Yes".into(),
            no: "No".into(),
            votes: 3,
        }
    }
}

impl Judge {
    pub(crate) fn validate(&self) -> Checked {
        if self.question.trim().is_empty() || self.yes.trim().is_empty() || self.no.trim().is_empty() {
            return Err("`judge` must have a question, a yes and a no".into());
        }
        if self.yes == self.no {
            return Err("`judge.yes` and `judge.no` must differ".into());
        }
        check::count("judge.votes", self.votes, 1, 64)
    }
}

impl Default for TreeOfThoughts {
    fn default() -> Self {
        Self { width: 4, branch: 4, temperature: 0.7, max_steps: 8, judge: Judge::default() }
    }
}

impl TreeOfThoughts {
    pub(crate) fn validate(&self) -> Checked {
        check::count("width", self.width, 1, 256)?;
        check::count("branch", self.branch, 1, 256)?;
        check::count("max_steps", self.max_steps, 1, 1000)?;
        check::temperature("temperature", self.temperature)?;
        self.judge.validate()
    }
}

/// Keeps the paths that the model itself thinks most of; paths that have ended compete with the
/// others.
pub(crate) async fn search(mut session: Session<'_>, settings: &TreeOfThoughts) -> Result<Search> {
    let mut beams = vec![0];
    for number in 1..=settings.max_steps {
        let open: Vec<usize> = beams.iter().copied().filter(|id| !session.nodes[*id].finished).collect();
        let n = if number == 1 { settings.branch * settings.width } else { settings.branch };
        let Some(drawn) = session.roll_out(&open, n, settings.temperature).await? else { break };
        let ended: Vec<usize> = beams.iter().copied().filter(|id| session.nodes[*id].finished).collect();
        let candidates: Vec<usize> = ended.into_iter().chain(session.different(&drawn)).collect();
        let Some(values) = session.judge(&candidates, &settings.judge).await? else {
            session.leave(&drawn);
            break;
        };
        beams = session.keep_best(number, &candidates, &values, settings.width);
        if beams.iter().all(|id| session.nodes[*id].finished) {
            break;
        }
    }
    let leaves = session.complete(&beams, settings.temperature).await?;
    let leaves = session.whole(&leaves);
    // Where the budget does not pay for another question, the rank of the steps decides.
    let judged = session.judge(&leaves, &settings.judge).await?;
    let values = match judged {
        Some(values) => {
            for (leaf, value) in leaves.iter().zip(&values) {
                session.change(*leaf, |node| node.value = Some(*value));
            }
            values
        }
        None => (0..leaves.len()).map(|rank| -(rank as f64)).collect(),
    };
    let chosen = weigh::largest(&values).map_or(0, |i| leaves[i]);
    session.last_round(&leaves, &values, chosen);
    Ok(session.end(chosen, "the model thinks most of this path"))
}
