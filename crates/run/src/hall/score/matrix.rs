use std::path::{Path, PathBuf};
use std::sync::Arc;

use record::Input;
use record::shard::{read_json, read_jsonl, to_jsonl, write_atomic, write_json};
use scaling::{Losses, Writer};
use serde::{Deserialize, Serialize};

use super::{Columns, Cut, ModelRow, Ratio, Scores, Text, TokenLosses, Unit};
use crate::{Error, Result};

/// A matrix of losses with what its rows and columns are.
///
/// ```text
/// DIR/texts.jsonl      the texts, as they were read
/// DIR/columns.jsonl    where the columns of each text end
/// DIR/matrix.json      unit, and the models with their summaries, row by row
/// DIR/losses.bin       models × columns, nats (`scaling::Losses`)
/// DIR/rows/NAME/       each model's own tokens, shard by shard
/// ```
pub(crate) struct Matrix {
    folder: PathBuf,
    /// The folder below the run's, for stages.
    place: PathBuf,
    pub texts: Arc<Vec<Text>>,
    pub unit: Unit,
    pub columns: Vec<Columns>,
    pub models: Vec<ModelRow>,
}

/// What stands in `matrix.json`.
#[derive(Serialize, Deserialize)]
struct Index {
    schema_version: u32,
    unit: Unit,
    models: Vec<ModelRow>,
}

impl Matrix {
    /// The matrix in `folder`, which must hold the same texts, or a new one.
    pub fn open(folder: &Path, texts: Vec<Text>, unit: Option<Unit>) -> Result<Self> {
        let mut matrix = Self {
            folder: folder.into(),
            place: PathBuf::new(),
            texts: Arc::new(texts),
            unit: unit.unwrap_or(Unit::Token),
            columns: Vec::new(),
            models: Vec::new(),
        };
        if !folder.join("matrix.json").exists() {
            return Ok(matrix);
        }
        let there = Self::read(folder)?;
        let other = |problem: String| Error::Nothing {
            problem: format!("{} holds losses {problem}", folder.display()),
            hint: "rows of one matrix stand on the same texts and columns: give the same, or another folder with --out"
                .into(),
        };
        if there.texts.len() != matrix.texts.len() {
            return Err(other(format!("on {} texts, not on {}", there.texts.len(), matrix.texts.len())));
        }
        if let Some((_, new)) = there.texts.iter().zip(&matrix.texts[..]).find(|(old, new)| old != new) {
            return Err(other(format!("on other texts: {} differs", new.id)));
        }
        if let Some(unit) = unit.filter(|unit| *unit != there.unit) {
            return Err(other(format!("of columns that are a {}, not a {unit}", there.unit)));
        }
        (matrix.unit, matrix.columns, matrix.models) = (there.unit, there.columns, there.models);
        Ok(matrix)
    }

    /// A matrix inside a run, in `place` below its root.
    pub fn inside(root: &Path, place: &str, texts: Vec<Text>, unit: Unit) -> Result<Self> {
        Ok(Self { place: place.into(), ..Self::open(&root.join(place), texts, Some(unit))? })
    }

    /// A matrix that is there.
    pub fn read(folder: &Path) -> Result<Self> {
        let index: Index = read_json(&folder.join("matrix.json"))?;
        Ok(Self {
            folder: folder.into(),
            place: PathBuf::new(),
            texts: Arc::new(read_jsonl(&folder.join("texts.jsonl"))?),
            unit: index.unit,
            columns: read_jsonl(&folder.join("columns.jsonl"))?,
            models: index.models,
        })
    }

    /// Where it lies.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the rows of each model's tokens lie, below the run's root.
    pub fn rows(&self) -> PathBuf {
        self.place.join("rows")
    }

    /// The losses, mapped from their file, with the models' names.
    pub fn losses(&self) -> Result<Losses> {
        let names = self.models.iter().map(|row| row.name.clone()).collect();
        Ok(Losses::open(&self.folder.join("losses.bin"))?.named(names)?)
    }

    /// Adds a model's row. The files of the matrix are written anew, the index last: it vouches for
    /// the others.
    pub fn push(
        &mut self,
        name: &str,
        identity: Vec<Input>,
        parameters: Option<u64>,
        cut: Cut,
        begins_after: String,
        losses: &[TokenLosses],
    ) -> Result<()> {
        if self.columns.is_empty() {
            let one = |(text, losses): (&Text, &TokenLosses)| Columns::new(text, self.unit, &losses.ends);
            self.columns = self.texts.iter().zip(losses).map(one).collect();
            write_atomic(&self.folder.join("texts.jsonl"), &to_jsonl(&self.texts[..])?)?;
            write_atomic(&self.folder.join("columns.jsonl"), &to_jsonl(&self.columns)?)?;
        }
        let row: Vec<f32> = self.columns.iter().zip(losses).flat_map(|(c, l)| c.lay(&l.ends, &l.losses)).collect();
        let path = self.folder.join("losses.bin");
        let before = if self.models.is_empty() { None } else { Some(Losses::open(&path)?) };
        // A file of more rows than the index names is what a killed process left: those are dropped.
        let before: Vec<&[f32]> = before.iter().flat_map(|all| (0..self.models.len()).map(|m| all.row(m))).collect();
        let mut writer = Writer::create(&path, row.len())?;
        before.into_iter().try_for_each(|row| writer.push(row))?;
        writer.push(&row)?;
        writer.finish()?;
        let summary = self.summary(name, identity, parameters, cut, begins_after, losses);
        self.models.push(summary);
        let index = Index { schema_version: 1, unit: self.unit, models: self.models.clone() };
        Ok(write_json(&self.folder.join("matrix.json"), &index)?)
    }

    fn summary(
        &self,
        name: &str,
        identity: Vec<Input>,
        parameters: Option<u64>,
        cut: Cut,
        begins_after: String,
        losses: &[TokenLosses],
    ) -> ModelRow {
        let nats = |of: &TokenLosses| of.losses.iter().map(|x| f64::from(*x)).sum::<f64>();
        let bytes = |text: &Text| text.text.len() as f64;
        let bits = |of: &mut dyn Iterator<Item = (&Text, &TokenLosses)>| {
            let texts: Vec<(f64, f64)> = of.map(|(text, losses)| (nats(losses), bytes(text))).collect();
            Ratio::new(&texts).times(std::f64::consts::LOG2_E)
        };
        let both = || self.texts.iter().zip(losses);
        let loss = Ratio::new(&losses.iter().map(|of| (nats(of), of.losses.len() as f64)).collect::<Vec<_>>());
        let said = losses.iter().all(|of| of.greedy.len() == of.losses.len());
        let right = |of: &TokenLosses| (of.greedy.iter().filter(|g| **g).count() as f64, of.greedy.len() as f64);
        let mut domains: Vec<&str> = self.texts.iter().map(|text| text.domain.as_str()).collect();
        domains.sort_unstable();
        domains.dedup();
        let of_domain =
            |domain: &&str| (domain.to_string(), bits(&mut both().filter(|(text, _)| text.domain == *domain)));
        ModelRow {
            name: name.into(),
            identity,
            parameters,
            window: (cut.context, cut.stride),
            begins_after,
            spread: self.columns.iter().zip(losses).any(|(columns, losses)| columns.ends != losses.ends),
            loss,
            perplexity: loss.exp(),
            bits_per_byte: bits(&mut both()),
            greedy: said.then(|| Ratio::new(&losses.iter().map(right).collect::<Vec<_>>())),
            domains: domains.iter().map(of_domain).collect(),
        }
    }

    /// The record of what stands there.
    pub fn scores(&self, kept: bool) -> Scores {
        Scores {
            schema_version: 1,
            unit: self.unit,
            texts: self.texts.len(),
            bytes: self.texts.iter().map(|text| text.text.len()).sum(),
            columns: self.columns.iter().map(|columns| columns.ends.len()).sum(),
            models: self.models.clone(),
            kept,
        }
    }
}
