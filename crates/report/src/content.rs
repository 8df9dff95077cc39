use std::collections::BTreeMap;

use exam::Overlap;
use record::{Manifest, TrainStep, Usage};
use serde::{Deserialize, Serialize};

use crate::{Paper, Practice};

/// Everything that the page shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// What was learned, in a few words: the documents' name.
    pub title: String,
    /// The model that learned it.
    pub model: String,
    /// The documents that were read, in reading order.
    pub documents: Vec<DocumentLine>,
    /// What each stage was asked for, delivered and dropped, in the order of the data flow.
    pub flow: Vec<Flow>,
    /// The training run, step by step; empty if nothing was trained.
    pub curve: Vec<TrainStep>,
    /// Practice on questions without answers, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub practice: Option<Practice>,
    /// The exams; the first one makes the headline.
    pub papers: Vec<Paper>,
    /// What exam questions and training samples have in common, if it was measured.
    pub overlap: Option<Overlap>,
    /// What each stage cost, in the order of the data flow.
    pub costs: Vec<Cost>,
    /// What a reader must know beforehand, e.g. that a flag opened the exam bank. Shown on top.
    pub notes: Vec<String>,
    /// How it came to be.
    pub manifest: Manifest,
}

/// A document that was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentLine {
    /// Path relative to the documents' folder.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Sentences read.
    pub sentences: u64,
    /// Facts that the rules proposed.
    pub proposed: u64,
    /// Facts that were taken for learning and exam.
    pub taken: u64,
}

/// What became of the records of one stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flow {
    /// What was asked for, in plain words: `facts`, `training samples`.
    pub name: String,
    /// Records asked for.
    pub asked: u64,
    /// Records delivered.
    pub delivered: u64,
    /// Records dropped, by reason.
    pub drops: BTreeMap<String, u64>,
}

impl Flow {
    /// Records that are neither delivered nor dropped with a reason, and must be none: asked less
    /// delivered less dropped.
    pub fn unaccounted(&self) -> i64 {
        self.asked as i64 - self.delivered as i64 - self.drops.values().sum::<u64>() as i64
    }
}

/// What one stage cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// Stage, in plain words.
    pub stage: String,
    /// Wall time in seconds.
    pub seconds: f64,
    /// Tokens of language models.
    pub usage: Usage,
    /// Money spent at remote servers, in US dollars.
    pub cost_usd: f64,
}
