use std::path::Path;

use lm::LogprobScale;
use serde::{Deserialize, Serialize};

use crate::{Error, Request, Result, Strategy};

/// Version of the saved form.
pub const SCHEMA: u32 = 1;

/// A whole search: what was asked, every step that was looked at, and why it was kept or left.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Search {
    /// Version of this form: [`SCHEMA`].
    pub schema: u32,
    /// How it was searched, with every setting.
    pub strategy: Strategy,
    /// The strategy's short name.
    pub name: String,
    /// Name of the model.
    pub model: String,
    /// What was asked.
    pub request: Request,
    /// Which distribution the log-probabilities come from; none if the model gives none.
    pub scale: Option<LogprobScale>,
    /// The tree: a node's id is its place, parents stand before their children, the root is first.
    pub nodes: Vec<Node>,
    /// The rounds of the search, in order.
    pub rounds: Vec<Round>,
    /// The whole answer, from the root to the chosen leaf.
    pub answer: String,
    /// The chosen leaf.
    pub chosen: usize,
    /// What it cost.
    pub cost: Cost,
    /// Why it ended.
    pub stopped: Stopped,
}

/// A step of a path. The root has no text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// Place in [`Search::nodes`].
    pub id: usize,
    /// The step before, none for the root.
    pub parent: Option<usize>,
    /// Steps from the root.
    pub step: usize,
    /// The step's text alone.
    pub text: String,
    /// Tokens of the step.
    pub tokens: usize,
    /// Mean log-probability of the step's tokens, nats.
    pub logprob: Option<f64>,
    /// Whether the path ends here.
    pub finished: bool,
    /// What was seen when looking ahead from here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub foresight: Option<Foresight>,
    /// A: F of this step less F of the step before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advantage: Option<f64>,
    /// C: share of the foresight paths that end up in the same cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alignment: Option<f64>,
    /// The cluster, largest first, within the round.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<usize>,
    /// What the strategy chooses by: a probability for φ and predictive decoding, the mean reward
    /// for MCTS, a score otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// How often MCTS came through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visits: Option<usize>,
    /// What the path answers, where votes are counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// What became of it.
    pub fate: Fate,
    /// Why, in a plain sentence.
    pub why: String,
}

impl Node {
    /// F: mean log-probability of what was seen ahead, or of the step itself where the path ends or
    /// nothing was looked at.
    pub fn outlook(&self) -> Option<f64> {
        match &self.foresight {
            Some(foresight) if !self.finished => foresight.logprob,
            _ => self.logprob,
        }
    }

    /// The text that is clustered: what was seen ahead, or the step's own where the path ends or
    /// nothing was looked at.
    pub fn prospect(&self) -> &str {
        match &self.foresight {
            Some(foresight) if !self.finished => &foresight.text,
            _ => &self.text,
        }
    }
}

/// One continuation, thrown away unless the budget ends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Foresight {
    /// Its text, without the step.
    pub text: String,
    /// Its tokens.
    pub tokens: usize,
    /// Mean log-probability of its tokens, without the step's, nats.
    pub logprob: Option<f64>,
    /// Whether it came to the path's end.
    pub whole: bool,
}

/// What became of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// Nothing is decided yet.
    Open,
    /// Kept for the next round, which did not come.
    Kept,
    /// Kept, and continued by its children.
    Expanded,
    /// Left because its own log-probability, or its value, was low.
    WidthPruned,
    /// Another was taken instead.
    NotSampled,
    /// The end of a path that was not chosen.
    Completed,
    /// The budget ended here, before the path did.
    Cut,
    /// The end of the answer.
    Chosen,
}

/// A round of a search: candidates come in, some are kept.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Round {
    /// Number, from 1. For a search by steps the step.
    pub round: usize,
    /// The candidates, in order.
    pub candidates: Vec<usize>,
    /// Those that were looked ahead from, or valued; in order.
    pub survivors: Vec<usize>,
    /// Survivors that the threshold had pruned and a draw brought back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refilled: Vec<usize>,
    /// Those that were kept, in the order in which they were drawn or ranked.
    pub kept: Vec<usize>,
    /// Mean of the candidates' log-probabilities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean: Option<f64>,
    /// Their population standard deviation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deviation: Option<f64>,
    /// Candidates below it were pruned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// Sizes of the clusters, largest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clusters: Vec<usize>,
    /// Of each survivor, in order: what its value was made of and its value, as on [`Node`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub advantages: Vec<f64>,
    /// Its alignment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alignments: Vec<f64>,
    /// Its cluster.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<usize>,
    /// Its value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<f64>,
    /// Genius: the candidates of whose whole responses one is preferred to the other, it first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pair: Option<[usize; 2]>,
    /// Whether this round chose the answer among whole paths.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub last: bool,
    /// Why looking ahead ended with this round, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<String>,
}

/// What a search cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cost {
    /// Completions and scorings asked of the model.
    pub calls: u64,
    /// Prompt tokens computed.
    pub prefill: u64,
    /// Prompt tokens found computed.
    pub cached: u64,
    /// Tokens decoded.
    pub decode: u64,
    /// 6 · decode · P, the papers' formula; none if the model's parameters P are not known.
    pub flops_paper: Option<f64>,
    /// 2 · (prefill + decode) · P, nearer the truth.
    pub flops: Option<f64>,
    /// Wall time; no part of the tree's identity.
    pub seconds: f64,
}

/// Why a search ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stopped {
    /// The strategy was done.
    Done,
    /// The budget was used up; the answer is the best so far.
    Budget,
}

/// What happens while a search goes on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", content = "data", rename_all = "snake_case")]
pub enum Event {
    /// A new node, or a change of the one with this id.
    Node(Node),
    /// A round is over.
    Round(Round),
    /// The next piece of the answer, once it is certain. All pieces together are the answer.
    Text(String),
    /// The cost so far.
    Cost(Cost),
}

impl Search {
    /// The node ids from the root to a node, both included.
    pub fn path(&self, id: usize) -> Vec<usize> {
        path(&self.nodes, id)
    }

    /// Whether both are the same search with the same tree: everything but what depends on the
    /// machine's load, which is wall time and how many prompt tokens were found computed.
    pub fn same_tree(&self, other: &Self) -> bool {
        let bare = |search: &Self| {
            let cost = Cost { calls: search.cost.calls, decode: search.cost.decode, ..Cost::default() };
            Self { cost, ..search.clone() }
        };
        bare(self) == bare(other)
    }

    /// Reads a saved search and checks it.
    pub fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|source| Error::File {
            operation: "read",
            path: path.into(),
            source,
        })?;
        Self::from_json(&text)
    }

    /// Reads a search from JSON and checks it.
    pub fn from_json(text: &str) -> Result<Self> {
        let search: Self = serde_json::from_str(text).map_err(|e| Error::Record { problem: e.to_string() })?;
        search.validate().map(|()| search)
    }

    /// Writes the search as JSON: under a temporary name first, so that no half of it is ever seen.
    pub fn save(&self, path: &Path) -> Result<()> {
        let file = |source| Error::File { operation: "write", path: path.into(), source };
        let json = serde_json::to_string_pretty(self).map_err(|e| Error::Record { problem: e.to_string() })?;
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(".part");
        std::fs::write(&temporary, json + "\n").map_err(file)?;
        std::fs::rename(&temporary, path).map_err(file)
    }

    /// Checks schema, tree and numbers: parents before children, one root, each step one below its
    /// parent, rounds of known nodes, everything finite, and the answer the text of the chosen path.
    pub fn validate(&self) -> Result<()> {
        let bad = |problem: String| Err(Error::Record { problem });
        if self.schema != SCHEMA {
            return bad(format!("schema {} is not known; this version reads schema {SCHEMA}", self.schema));
        }
        self.strategy.validate()?;
        self.request.validate()?;
        for (place, node) in self.nodes.iter().enumerate() {
            if node.id != place {
                return bad(format!("node {} stands at place {place}", node.id));
            }
            match node.parent {
                None if place == 0 && node.step == 0 => {}
                Some(parent) if parent < place && self.nodes[parent].step + 1 == node.step => {}
                _ => return bad(format!("node {place} has no parent before it, one step nearer the root")),
            }
            let foresight = node.foresight.as_ref().and_then(|f| f.logprob);
            let numbers = [node.logprob, foresight, node.advantage, node.alignment, node.value];
            if numbers.into_iter().flatten().any(|number| !number.is_finite()) {
                return bad(format!("node {place} holds a number that is not finite"));
            }
        }
        let known = |ids: &[usize]| ids.iter().all(|id| *id < self.nodes.len());
        for round in &self.rounds {
            if ![&round.candidates, &round.survivors, &round.refilled, &round.kept].into_iter().all(|ids| known(ids)) {
                return bad(format!("round {} names a node that is not there", round.round));
            }
            if !known(round.pair.as_ref().map_or(&[], |pair| pair)) {
                return bad(format!("round {} pairs a node that is not there", round.round));
            }
            let single = [round.mean, round.deviation, round.threshold].into_iter().flatten();
            let lists = [&round.advantages, &round.alignments, &round.values].into_iter().flatten().copied();
            if single.chain(lists).any(|number| !number.is_finite()) {
                return bad(format!("round {} holds a number that is not finite", round.round));
            }
        }
        let cost = [Some(self.cost.seconds), self.cost.flops, self.cost.flops_paper];
        if cost.into_iter().flatten().any(|number| !number.is_finite() || number < 0.0) {
            return bad("the cost holds a number that is negative or not finite".into());
        }
        if self.chosen >= self.nodes.len() {
            return bad(format!("the chosen node {} is not there", self.chosen));
        }
        let text: String = self.path(self.chosen).into_iter().map(|id| self.nodes[id].text.as_str()).collect();
        if !text.starts_with(&self.answer) {
            return bad(format!("the answer is not the text of the path to node {}", self.chosen));
        }
        Ok(())
    }
}

/// The node ids from the root to a node, both included.
pub(crate) fn path(nodes: &[Node], id: usize) -> Vec<usize> {
    let mut path: Vec<usize> = std::iter::successors(Some(id), |id| nodes[*id].parent).collect();
    path.reverse();
    path
}
