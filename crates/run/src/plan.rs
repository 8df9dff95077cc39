use std::collections::BTreeMap;

use record::{Document, Drop, Fact, Guard, Input, Item, Preference, Response, Sample, TrainStep, Usage};
use serde::{Deserialize, Serialize};

use crate::hall::score::TokenLosses;
use crate::lab::Trial;
use crate::practise::Asked;

/// What a stage will do, in full: the same plan gives the same bytes wherever its shards run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Version of this layout.
    pub schema_version: u32,
    /// Name of the stage.
    pub stage: String,
    /// Every setting that the stage reads, defaults filled in.
    pub settings: serde_json::Value,
    /// Seed of the run.
    pub seed: u64,
    /// What the stage reads, by content.
    pub inputs: Vec<Input>,
    /// Number of shards.
    pub shards: u32,
}

impl Plan {
    /// SHA-256 of the plan: the address of its work.
    pub fn address(&self) -> String {
        record::shard::sha256(serde_json::to_string(self).unwrap_or_default().as_bytes())
    }
}

/// What `done/NNNNN.json` says of a finished shard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShardReport {
    /// Address of the plan that it belongs to; of another plan, the shard counts as missing.
    pub plan: String,
    /// Number of the shard, from 0.
    pub shard: u32,
    /// SHA-256 of the shard file's bytes.
    pub sha256: String,
    /// Records delivered.
    pub delivered: u64,
    /// Records dropped, by reason.
    pub dropped: BTreeMap<String, u64>,
    /// Tokens spent.
    pub usage: Usage,
    /// Money spent, in US dollars.
    pub cost_usd: f64,
    /// Wall time in seconds.
    pub seconds: f64,
}

/// A line of a shard file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// A document that was read.
    Document(Document),
    /// A fact, and the bank that its held-out wording goes to once it was taken.
    Fact(Fact, Option<record::Bank>),
    /// An example to learn from.
    Sample(Sample),
    /// An exam question.
    Item(Item),
    /// A marked answer.
    Response(Response),
    /// A problem under a decoding strategy.
    Trial(Trial),
    /// A question that was practised on.
    Asked(Asked),
    /// A prompt with a better and a worse answer.
    Preference(Preference),
    /// An optimiser step.
    Step(TrainStep),
    /// How a self-training stood between two steps.
    Guard(Guard),
    /// What a model said to a text, token by token.
    Loss(TokenLosses),
    /// An answer to a paper.
    Answer(exam::paper::Answer),
    /// A grader's mark of an answer.
    Mark(exam::grade::Mark),
    /// A file beside the shard, by content.
    File(Input),
    /// Something that was not delivered.
    Drop(Drop),
}

/// What one shard's work gives.
#[derive(Debug, Default)]
pub struct Output {
    /// The records, in an order that depends on the plan alone.
    pub records: Vec<Record>,
    /// Tokens spent.
    pub usage: Usage,
    /// Money spent, in US dollars.
    pub cost_usd: f64,
}
