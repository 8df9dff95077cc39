use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::check::{self, Checked};
use crate::session::Session;
use crate::{Error, Fate, Judge, Result, Round, Search, weigh};

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

/// A whole path that was seen, and what it earned.
#[derive(Clone, Copy)]
struct Seen {
    node: usize,
    reward: f64,
}

/// Grows the tree where reward was found, and answers with the best path that was seen.
pub(crate) async fn search(mut session: Session<'_>, settings: &Mcts) -> Result<Search> {
    if settings.reward != Reward::SelfEvaluation {
        session.need_logprobs()?;
    }
    let mut tree = Tree::default();
    let mut best: Option<Seen> = None;
    for number in 1..=settings.simulations {
        let leaf = tree.select(&session, settings.exploration);
        let Some((candidates, end)) = open(&mut session, &mut tree, leaf, settings).await? else { break };
        let Some(reward) = earn(&mut session, &mut tree, end, settings).await? else { break };
        tree.back(&mut session, end, reward);
        if best.is_none_or(|best| reward > best.reward) {
            best = Some(Seen { node: end, reward });
        }
        session.round(Round {
            round: number,
            survivors: candidates.clone(),
            candidates,
            kept: vec![end],
            ..Round::default()
        });
    }
    for id in 1..session.nodes.len() {
        if session.nodes[id].fate == Fate::Open {
            let why = "opened, and never gone through";
            session.fate(id, Fate::NotSampled, why);
        }
    }
    let Some(best) = best else {
        let leaves = session.complete(&[0], settings.simulation_temperature).await?;
        return Ok(session.end(leaves[0], "the budget paid for this path alone"));
    };
    let node = best.node;
    let leaf = if session.nodes[node].finished { Some(node) } else { session.adopt(node) };
    // A look that the budget cut is all there is of its path.
    let leaf = match leaf {
        Some(leaf) => leaf,
        None => session.complete(&[node], settings.simulation_temperature).await?[0],
    };
    Ok(session.end(leaf, &format!("the path with the largest reward, {:.3}", best.reward)))
}

/// Opens a leaf: draws its steps and looks ahead from the most probable one. The steps, and the
/// node where the path goes on to the end; none if the budget is used up.
async fn open(
    session: &mut Session<'_>,
    tree: &mut Tree,
    leaf: usize,
    settings: &Mcts,
) -> Result<Option<(Vec<usize>, usize)>> {
    let mut end = leaf;
    let mut candidates = Vec::new();
    if !session.nodes[leaf].finished && session.nodes[leaf].step < settings.max_steps {
        let Some(drawn) = session.roll_out(&[leaf], settings.branch, settings.step_temperature).await? else {
            return Ok(None);
        };
        let different = session.different(&drawn);
        tree.grow(leaf, &different);
        end = tree.select_child(session, leaf, settings.exploration).unwrap_or(leaf);
        candidates = drawn;
    }
    let looked = session.nodes[end].foresight.is_some();
    if !looked && !session.foresee(&[end], settings.simulation_temperature, 0).await? {
        return Ok(None);
    }
    Ok(Some((candidates, end)))
}

/// What the whole path through a node earns; none if the budget is used up. A path earns the same
/// each time.
async fn earn(session: &mut Session<'_>, tree: &mut Tree, end: usize, settings: &Mcts) -> Result<Option<f64>> {
    if let Some(reward) = tree.reward(end) {
        return Ok(Some(reward));
    }
    let (mut sum, mut tokens) = session.path_logprob(end);
    if let Some(seen) = &session.nodes[end].foresight {
        sum += seen.logprob.unwrap_or(0.0) * seen.tokens as f64;
        tokens += seen.tokens;
    }
    let probable = (sum / tokens.max(1) as f64).exp();
    let reward = match settings.reward {
        Reward::Logprob => probable,
        reward => {
            let Some(judged) = session.judge_whole(end, &settings.judge).await? else { return Ok(None) };
            match reward {
                Reward::Both => probable.powf(settings.reward_power) * judged.powf(1.0 - settings.reward_power),
                _ => judged,
            }
        }
    };
    if !reward.is_finite() {
        return Err(Error::NonFinite { node: end, what: "reward" });
    }
    tree.remember(end, reward);
    Ok(Some(reward))
}

/// Visits and rewards; the steps themselves are the session's.
#[derive(Default)]
struct Tree {
    children: BTreeMap<usize, Vec<usize>>,
    visits: BTreeMap<usize, (usize, f64)>,
    rewards: BTreeMap<usize, f64>,
}

impl Tree {
    /// Goes down from the root to a node that has not been opened.
    fn select(&self, session: &Session<'_>, exploration: f64) -> usize {
        let mut node = 0;
        while let Some(child) = self.select_child(session, node, exploration) {
            node = child;
        }
        node
    }

    /// The child with the largest Q + c·√(ln N(parent) / N(child)); those never gone through come
    /// first, the most probable step of them before others.
    fn select_child(&self, session: &Session<'_>, node: usize, exploration: f64) -> Option<usize> {
        let children = self.children.get(&node)?;
        let total = self.visits.get(&node).map_or(1, |(n, _)| *n).max(1) as f64;
        let new: Vec<usize> = children.iter().copied().filter(|child| !self.visits.contains_key(child)).collect();
        if !new.is_empty() {
            let probable: Vec<f64> = new.iter().map(|id| session.nodes[*id].logprob.unwrap_or(f64::MIN)).collect();
            return weigh::largest(&probable).map(|i| new[i]);
        }
        let uct = |child: &usize| {
            let (n, sum) = self.visits[child];
            sum / n as f64 + exploration * (total.ln() / n as f64).sqrt()
        };
        weigh::largest(&children.iter().map(uct).collect::<Vec<_>>()).map(|i| children[i])
    }

    fn grow(&mut self, node: usize, children: &[usize]) {
        if !children.is_empty() {
            self.children.insert(node, children.to_vec());
        }
    }

    fn reward(&self, node: usize) -> Option<f64> {
        self.rewards.get(&node).copied()
    }

    fn remember(&mut self, node: usize, reward: f64) {
        self.rewards.insert(node, reward);
    }

    /// Gives the reward to every step on the path.
    fn back(&mut self, session: &mut Session<'_>, end: usize, reward: f64) {
        for id in crate::tree::path(&session.nodes, end) {
            let visit = self.visits.entry(id).or_insert((0, 0.0));
            *visit = (visit.0 + 1, visit.1 + reward);
            let (n, mean) = (visit.0, visit.1 / visit.0 as f64);
            let finished = session.nodes[id].finished;
            session.change(id, |node| {
                (node.visits, node.value) = (Some(n), Some(mean));
                if id != 0 && node.fate != Fate::Expanded {
                    node.fate = if finished { Fate::Completed } else { Fate::Kept };
                    node.why = "gone through, and not opened since".into();
                }
                if node.fate != Fate::Kept && id != 0 {
                    node.why = format!("gone through {n} times, mean reward {mean:.3}");
                }
            });
        }
    }
}
