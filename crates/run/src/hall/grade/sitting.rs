use std::path::{Path, PathBuf};

use exam::paper::{Answer, Date, Paper, Sitting, closed_book, read_paper, sit_paper as answer_items};
use record::{Input, Usage};
use serde::Serialize;

use super::tell;
use crate::carry::Stage;
use crate::models::{Model, input};
use crate::plan::{Output, Record};
use crate::pull::Sources;
use crate::stages::{piece, pieces};
use crate::verbs::{Flow, pick};
use crate::{Recipe, Result, Watch};

/// How a paper is sat.
#[derive(Debug, Clone)]
pub struct SittingPaper {
    /// The paper.
    pub paper: PathBuf,
    /// Name of the person in the answers; none for the model's.
    pub person: Option<String>,
    /// The day on which the model's weights became public.
    pub published: Option<Date>,
    /// Limits and seed.
    pub sitting: Sitting,
}

/// A paper that was sat.
#[derive(Debug, Serialize)]
pub struct PaperSat {
    /// The paper's name.
    pub title: String,
    /// Who sat it.
    pub person: String,
    /// Whether that counts as closed-book, in words.
    pub closed_book: &'static str,
    /// Answers.
    pub answers: usize,
    /// Of them requests that failed.
    pub failed: usize,
    /// The first failure.
    pub first_failure: Option<String>,
    /// Of them cut off at the limit of tokens.
    pub cut: usize,
    /// Where the answers lie.
    pub file: PathBuf,
}

impl PaperSat {
    /// In two lines.
    pub fn text(&self) -> String {
        let Self { title, person, closed_book, answers, failed, cut, file, .. } = self;
        let file = file.display();
        let mut text =
            format!("{person} answered {answers} items of {title} ({failed} failed, {cut} cut off); {closed_book}");
        if let Some(first) = &self.first_failure {
            text += &format!("\nfirst failure: {first}");
        }
        text + &format!("\nanswers: {file}\nnext:    lyceum grade PAPER {file}")
    }
}

/// Lets the recipe's model sit a paper closed-book: greedy, but for essays.
pub async fn sit_paper(
    recipe: &Recipe,
    asked: &SittingPaper,
    out: &Path,
    sources: &Sources,
    watch: &Watch,
) -> Result<PaperSat> {
    let paper = read_paper(&asked.paper)?;
    asked.sitting.validate()?;
    let flow = Flow::open(recipe, out, sources, watch)?;
    let person = asked.person.clone().unwrap_or_else(|| recipe.model.clone());
    let stage = SitPaper {
        inputs: vec![input(&asked.paper)?],
        model: flow.model()?,
        sitting: Sitting { seed: recipe.seed, concurrency: recipe.exam.sit.concurrency, ..asked.sitting },
        shard_items: recipe.exam.shard_items,
        published: asked.published,
        person,
        paper,
    };
    let carried = flow.carry(&stage).await?;
    let answers: Vec<Answer> =
        pick(&carried.records, |record| if let Record::Answer(answer) = record { Some(answer) } else { None });
    let failures: Vec<&String> = answers.iter().filter_map(|answer| answer.failed.as_ref()).collect();
    Ok(PaperSat {
        title: stage.paper.title.clone(),
        closed_book: closed_book(stage.paper.date, asked.published).says(),
        answers: answers.len(),
        failed: failures.len(),
        first_failure: failures.first().map(|first| first.to_string()),
        cut: answers.iter().filter(|answer| answer.cut).count(),
        file: carried.folder.join("answers.jsonl"),
        person: stage.person,
    })
}

/// A paper in, answers out.
struct SitPaper {
    paper: Paper,
    inputs: Vec<Input>,
    model: Model,
    person: String,
    published: Option<Date>,
    sitting: Sitting,
    shard_items: usize,
}

#[async_trait::async_trait]
impl Stage for SitPaper {
    fn name(&self) -> String {
        "paper".into()
    }

    fn settings(&self) -> serde_json::Value {
        serde_json::json!({
            "sit": self.sitting, "person": self.person, "published": self.published, "items": self.paper.items.len(),
            "shard_items": self.shard_items, "adapter": self.model.adapter.is_some(),
        })
    }

    fn inputs(&self) -> Vec<Input> {
        [self.inputs.clone(), self.model.identity.clone()].concat()
    }

    fn shards(&self) -> u32 {
        pieces(self.paper.items.len(), self.shard_items)
    }

    async fn run_shard(&self, shard: u32, _: &Path, watch: &Watch) -> Result<Output> {
        let items = piece(&self.paper.items, self.shard_items, shard);
        let first = shard as usize * self.shard_items;
        let mut progress = |done: usize| tell(watch, "paper", first + done, self.paper.items.len());
        let Model { shared, adapter, meter, .. } = &self.model;
        let paid = meter();
        let (person, adapter) = (&self.person, adapter.as_deref());
        let answers =
            answer_items(items, person, self.published, shared, adapter, &self.sitting, &mut progress).await?;
        let mut usage = Usage::default();
        answers.iter().for_each(|answer| usage += answer.usage);
        Ok(Output { records: answers.into_iter().map(Record::Answer).collect(), usage, cost_usd: meter() - paid })
    }
}
