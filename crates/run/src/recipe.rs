use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::practise::PractiseRecipe;
use crate::{Error, Result};

/// A recipe for `lyceum evolve`: what to read, what to make of it, what to learn and how to examine.
///
/// Every field has a default; unknown keys are refused. The resolved recipe stands in the run
/// folder and in every manifest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Recipe {
    /// Version of this layout; 1.
    pub schema_version: u32,
    /// Seed of everything random.
    pub seed: u64,
    /// Named asset, path of a GGUF file or Hugging Face folder, run folder, or server address.
    pub model: String,
    /// Folder of documents, or a named document set.
    pub documents: String,
    /// How documents are read.
    pub read: documents::Config,
    /// How samples are made of them.
    pub synth: synth::Config,
    /// How the adapter is learned.
    pub learn: learn::SftConfig,
    /// By what the adapter's best point is chosen.
    pub early_stop: EarlyStop,
    /// How the model practises on questions without answers.
    pub practise: PractiseRecipe,
    /// How models are examined.
    pub exam: ExamRecipe,
    /// The local engine.
    pub engine: lm_local::Config,
    /// How a server is asked, where the model is one. Its addresses are the `model`.
    pub remote: lm_http::Config,
}

/// By what the kept point of a training is chosen; by the plain validation loss, where nothing is given.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EarlyStop {
    /// `salience.csv` of `lyceum scaling --tie type`: what each token says of a capability. The
    /// validation loss is weighted by it.
    pub salience: Option<PathBuf>,
    /// The task in it that is wanted, where it holds several.
    pub task: Option<String>,
}

/// Which exams are sat, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExamRecipe {
    /// A bank of your own (JSON lines) to sit beside the generated one.
    pub bank: Option<PathBuf>,
    /// `fit.json` of `lyceum irt`: items that it knows keep their difficulties, so that abilities before
    /// and after stand on one scale.
    pub calibration: Option<PathBuf>,
    /// Sit the generated bank with the documents at hand as well.
    pub open_book: bool,
    /// Gain on the generated questions that counts as success, as a share of 1: the report says
    /// whether the whole interval reaches it.
    pub bar: f64,
    /// Number of general questions (OpenBookQA and CommonsenseQA, 1,721 in all) that must not be
    /// lost; 0 for none.
    pub control: usize,
    /// Questions a shard.
    pub shard_items: usize,
    /// How an answer is drawn and marked.
    pub sit: exam::Config,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            schema_version: 1,
            seed: 17,
            model: "smollm2-135m".into(),
            documents: "sqlite-manual".into(),
            read: documents::Config::default(),
            synth: synth::Config::default(),
            learn: learn::SftConfig::default(),
            early_stop: EarlyStop::default(),
            practise: PractiseRecipe::default(),
            exam: ExamRecipe::default(),
            engine: lm_local::Config::default(),
            remote: lm_http::Config::default(),
        }
    }
}

impl Default for ExamRecipe {
    fn default() -> Self {
        Self {
            bank: None,
            calibration: None,
            open_book: true,
            bar: 0.2,
            control: 1721,
            shard_items: 64,
            sit: exam::Config::default(),
        }
    }
}

impl Recipe {
    /// Reads a recipe (or the defaults), then applies `key.path=value` settings in order.
    pub fn load(path: Option<&Path>, sets: &[String]) -> Result<Self> {
        let mut table = toml::Table::new();
        let mut source_name = String::from("recipe");
        if let Some(path) = path {
            source_name = path.display().to_string();
            let text = std::fs::read_to_string(path).map_err(|e| record::Error::io("read", path, e))?;
            // The typed parse gives errors with line and column; the table takes the settings.
            toml::from_str::<Self>(&text).map_err(|e| recipe_error(&source_name, &e))?;
            table = toml::from_str(&text).map_err(|e| recipe_error(&source_name, &e))?;
        }
        for set in sets {
            apply(&mut table, set)?;
        }
        if !sets.is_empty() {
            source_name += " with --set";
        }
        let recipe: Self = table.try_into().map_err(|e| recipe_error(&source_name, &e))?;
        recipe.validate(&source_name)?;
        Ok(recipe)
    }

    /// Checks ranges that the types do not.
    pub fn validate(&self, source_name: &str) -> Result<()> {
        let fail = |problem: String| Err(Error::Recipe { source_name: source_name.into(), problem, hint: None });
        if self.schema_version != 1 {
            return fail(format!("schema_version {} is not known; this lyceum reads 1", self.schema_version));
        }
        if self.exam.shard_items == 0 {
            return fail("exam.shard_items must be 1 or more".into());
        }
        if self.early_stop.task.is_some() && self.early_stop.salience.is_none() {
            return fail("early_stop.task names a task of early_stop.salience, which is not given".into());
        }
        if self.early_stop.salience.is_some() && !self.learn.keep_best {
            return fail("early_stop.salience chooses the kept point, so it needs learn.keep_best = true".into());
        }
        self.learn.validate()?;
        self.synth.validate()?;
        self.practise.validate()?;
        Ok(())
    }

    /// Settings of the training. Its seed comes from the run's, so that one seed governs everything;
    /// `learn.seed` still varies the training alone.
    pub(crate) fn training(&self) -> learn::SftConfig {
        let seed = record::seed::derive(self.seed, "learn", &self.learn.seed.to_string());
        learn::SftConfig { seed, ..self.learn.clone() }
    }

    /// Settings of learning from preferences; their seed comes from the run's likewise.
    pub(crate) fn preferring(&self) -> learn::PreferConfig {
        let seed = record::seed::derive(self.seed, "practise-learn", &self.practise.learn.seed.to_string());
        learn::PreferConfig { seed, ..self.practise.learn.clone() }
    }

    /// The recipe with every default filled in, as TOML.
    pub fn to_toml(&self) -> String {
        toml::to_string_pretty(self).unwrap_or_default()
    }
}

/// Sets `a.b.c=value`; the value is TOML where it parses as such, else a string.
fn apply(table: &mut toml::Table, set: &str) -> Result<()> {
    let bad = |problem: String| Error::Recipe {
        source_name: "--set".into(),
        problem,
        hint: Some("write --set learn.epochs=4".into()),
    };
    let (key, text) = set.split_once('=').ok_or_else(|| bad(format!("{set:?} has no '='")))?;
    let value = toml::from_str::<toml::Table>(&format!("v = {text}"))
        .ok()
        .and_then(|mut parsed| parsed.remove("v"))
        .unwrap_or_else(|| toml::Value::String(text.into()));
    let mut parts: Vec<&str> = key.trim().split('.').collect();
    let last = parts.pop().unwrap_or_default();
    let mut table = table;
    for part in parts {
        table = table
            .entry(part)
            .or_insert_with(|| toml::Value::Table(toml::Table::new()))
            .as_table_mut()
            .ok_or_else(|| bad(format!("{part:?} in {key:?} is a value, not a section")))?;
    }
    table.insert(last.into(), value);
    Ok(())
}

/// Turns serde's "unknown field `x`, expected one of `a`, `b`" into a hint at the nearest key.
fn recipe_error(source_name: &str, error: &toml::de::Error) -> Error {
    let mut names = error.message().split('`').skip(1).step_by(2);
    let hint = error.message().starts_with("unknown field").then(|| names.next()).flatten().and_then(|unknown| {
        let near =
            names.max_by(|a, b| strsim::jaro_winkler(unknown, a).total_cmp(&strsim::jaro_winkler(unknown, b)))?;
        Some(if strsim::jaro_winkler(unknown, near) > 0.6 {
            format!("did you mean `{near}`?")
        } else {
            "recipes/evolve.toml holds every key with its default".into()
        })
    });
    Error::Recipe { source_name: source_name.into(), problem: error.to_string().trim().to_string(), hint }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_is_refused_with_the_nearest_known_one() {
        let folder = tempfile::tempdir().expect("tempdir");
        let path = folder.path().join("r.toml");
        std::fs::write(&path, "seed = 3\n[learn]\nlearning_rat = 1e-3\n").expect("write");
        let error = Recipe::load(Some(&path), &[]).expect_err("unknown key");
        assert!(error.to_string().contains("learning_rat") && error.to_string().contains("line 3"), "{error}");
        assert_eq!(error.hint().as_deref(), Some("did you mean `learning_rate`?"));
    }

    #[test]
    fn settings_override_the_file_and_are_typed() {
        let recipe = Recipe::load(None, &["learn.epochs=2".into(), "documents=my docs".into()]).expect("load");
        assert_eq!((recipe.learn.epochs as u32, recipe.documents.as_str()), (2, "my docs"));
        assert!(Recipe::load(None, &["learn.epochs".into()]).is_err());
        assert!(Recipe::load(None, &["seed.x=1".into(), "seed=1".into()]).is_ok(), "the later setting wins");
    }

    #[test]
    fn the_recipe_in_the_repository_holds_every_key_with_its_default() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recipes/evolve.toml");
        let recipe = Recipe::load(Some(&path), &[]).expect("recipe");
        assert_eq!(recipe, Recipe::default());
        let text = std::fs::read_to_string(&path).expect("read");
        let resolved = recipe.to_toml();
        let lacking: Vec<&str> =
            resolved.lines().filter(|line| !line.is_empty() && !text.lines().any(|known| known == *line)).collect();
        assert!(lacking.is_empty(), "recipes/evolve.toml lacks {lacking:#?}");
    }

    #[test]
    fn settings_of_the_stop_that_would_do_nothing_are_refused() {
        let said = |sets: &[&str]| {
            let sets: Vec<String> = sets.iter().map(|set| set.to_string()).collect();
            Recipe::load(None, &sets).expect_err("must fail").to_string()
        };
        assert!(said(&["early_stop.task=sums"]).contains("early_stop.salience"));
        assert!(said(&["early_stop.salience=s.csv", "learn.keep_best=false"]).contains("learn.keep_best"));
    }

    #[test]
    fn the_resolved_recipe_reads_back_as_itself() {
        let recipe = Recipe::default();
        assert_eq!(toml::from_str::<Recipe>(&recipe.to_toml()).expect("parse"), recipe);
    }
}
