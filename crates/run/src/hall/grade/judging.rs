use std::collections::HashMap;
use std::path::Path;

use exam::grade::{Judge, JudgeConfig, Mark, Script};
use exam::paper::Paper;
use futures::stream::{FuturesOrdered, StreamExt};
use record::{Input, Usage, seed};

use super::{Desk, Grading, tell};
use crate::carry::Stage;
use crate::models::{self, Model};
use crate::plan::{Output, Record};
use crate::stages::{piece, pieces};
use crate::verbs::{Flow, pick};
use crate::{Error, Result, Watch};

/// Scripts a shard: what a kill costs at most.
const SHARD: usize = 16;

/// Models that judge, loaded once each.
pub(super) struct Panel<'a> {
    flow: &'a Flow<'a>,
    desk: &'a Desk,
    config: JudgeConfig,
    /// How often each model has judged so far, so that its next turn draws anew.
    turns: HashMap<String, usize>,
    loaded: HashMap<String, Model>,
    usage: Usage,
    /// Whether the marks that come next are further ones.
    pub further: bool,
}

impl<'a> Panel<'a> {
    pub fn new(flow: &'a Flow<'a>, asked: &Grading, desk: &'a Desk) -> Self {
        Self {
            flow,
            desk,
            config: asked.judge,
            turns: HashMap::new(),
            loaded: HashMap::new(),
            usage: Usage::default(),
            further: false,
        }
    }

    /// Tokens that judges cost.
    pub fn usage(&self) -> Usage {
        self.usage
    }
}

/// Marks of `copies` judges of one model. One alone is greedy; several, and whoever marks again, draw.
pub(super) async fn judged(
    panel: &mut Panel<'_>,
    name: Option<&str>,
    copies: usize,
    scripts: &[Script],
) -> Result<Vec<Mark>> {
    let flow = panel.flow;
    let name = name.unwrap_or(&flow.recipe.model).to_string();
    if scripts.iter().all(Script::is_blank) {
        return Ok(scripts.iter().enumerate().map(|(place, script)| Mark::blank(script, &name, place)).collect());
    }
    if !panel.loaded.contains_key(&name) {
        panel.loaded.insert(name.clone(), models::load(&name, flow.recipe, flow.sources)?);
    }
    let Some(model) = panel.loaded.get(&name).cloned() else { return Ok(Vec::new()) };
    let several = copies > 1 || panel.further || panel.turns.contains_key(&name);
    let mut marks = Vec::new();
    for _ in 0..copies {
        let turn = panel.turns.entry(name.clone()).or_insert(0);
        *turn += 1;
        let grader = match (panel.further, several) {
            (true, _) => format!("{name} again"),
            (_, true) => format!("{name} {turn}"),
            _ => name.clone(),
        };
        let mut config = panel.config;
        config.seed = flow.recipe.seed;
        if config.samples == 1 && !several {
            config.temperature = 0.0;
        }
        let mut order = scripts.to_vec();
        order.sort_by_key(|script| seed::derive(flow.recipe.seed, &grader, &script.code));
        let stage = Judging {
            folder: format!("judges/{}", folder(&grader)),
            grader,
            paper: panel.desk.paper.clone(),
            scripts: order,
            model: model.clone(),
            config,
            concurrency: flow.recipe.exam.sit.concurrency,
        };
        let carried = flow.carry(&stage).await?;
        panel.usage += carried.manifest.usage;
        let own = pick(&carried.records, |record| if let Record::Mark(mark) = record { Some(mark) } else { None });
        // A judge that never gives a mark is a mistake of who chose it, not of the candidates.
        let asked = scripts.iter().filter(|script| !script.is_blank()).count();
        let failed: Vec<&Mark> = own.iter().filter(|mark| mark.points.is_none()).collect();
        if failed.len() == asked {
            let why = failed.first().and_then(|mark| mark.failed.clone()).unwrap_or_default();
            return Err(Error::Model {
                problem: format!("{name} could not mark any of {asked} answers; the first: {why}"),
                hint: "choose another judge, or raise --judge-tokens".into(),
            });
        }
        marks.extend(own);
    }
    Ok(marks)
}

/// A name that a folder may have, and no other grader's.
fn folder(grader: &str) -> String {
    let plain: String = grader.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '-' }).collect();
    let hash = record::shard::sha256(grader.as_bytes());
    format!("{}-{}", plain.trim_matches('-'), &hash[..6])
}

/// Scripts in, a judge's marks out.
struct Judging {
    folder: String,
    grader: String,
    paper: Paper,
    scripts: Vec<Script>,
    model: Model,
    config: JudgeConfig,
    concurrency: usize,
}

#[async_trait::async_trait]
impl Stage for Judging {
    fn name(&self) -> String {
        self.folder.clone()
    }

    fn settings(&self) -> serde_json::Value {
        serde_json::json!({
            "judge": self.config, "grader": self.grader, "shard_items": SHARD, "adapter": self.model.adapter.is_some(),
        })
    }

    fn inputs(&self) -> Vec<Input> {
        let hash = |bytes: Vec<u8>| record::shard::sha256(&bytes);
        let mut inputs = self.model.identity.clone();
        let paper = serde_json::to_vec(&self.paper).unwrap_or_default();
        inputs.push(Input { path: "paper".into(), sha256: hash(paper) });
        let scripts = record::shard::to_jsonl(&self.scripts).unwrap_or_default();
        inputs.push(Input { path: "scripts".into(), sha256: hash(scripts) });
        inputs
    }

    fn shards(&self) -> u32 {
        pieces(self.scripts.len(), SHARD)
    }

    async fn run_shard(&self, shard: u32, _: &Path, watch: &Watch) -> Result<Output> {
        let judge = Judge {
            name: self.grader.clone(),
            model: &self.model.shared,
            adapter: self.model.adapter.as_deref(),
            config: self.config,
        };
        let first = shard as usize * SHARD;
        let mut waiting = piece(&self.scripts, SHARD, shard).iter().enumerate();
        let paid = (self.model.meter)();
        let mut output = Output::default();
        let mut running = FuturesOrdered::new();
        loop {
            while running.len() < self.concurrency
                && let Some((at, script)) = waiting.next()
            {
                let (judge, paper) = (&judge, &self.paper);
                running.push_back(async move {
                    let item = paper.item(&script.item)?;
                    let subject = item.subject.as_deref().unwrap_or(&paper.subject);
                    Some(judge.mark(item, subject, script, first + at).await)
                });
            }
            let Some(marked) = running.next().await else { break };
            if let Some((mark, usage)) = marked {
                output.usage += usage;
                output.records.push(Record::Mark(mark));
                tell(watch, &self.folder, first + output.records.len(), self.scripts.len());
            }
        }
        output.cost_usd = (self.model.meter)() - paid;
        Ok(output)
    }
}
