//! Losses of models on the tokens of texts: a row a model, on one grid.

mod grid;
mod matrix;
mod ratio;
mod row;
mod spans;
pub(crate) mod text;
mod window;

use std::path::{Path, PathBuf};

use record::Input;
use serde::{Deserialize, Serialize};

pub use self::grid::{Columns, Unit};
pub(crate) use self::matrix::Matrix;
pub use self::ratio::Ratio;
pub(crate) use self::row::Row;
pub use self::row::TokenLosses;
pub use self::text::Text;
use self::window::BEGINNING;
pub(crate) use self::window::Cut;
use crate::models::Model;
use crate::pull::Sources;
use crate::verbs::Flow;
use crate::{Error, Recipe, Result, Watch};

/// What is scored, and how.
#[derive(Debug, Clone)]
pub struct Scoring {
    /// Files, JSON lines, and folders of both.
    pub texts: Vec<PathBuf>,
    /// Name of the model's row; without one, the model's own.
    pub name: Option<String>,
    /// What a column is; only the first model of a matrix decides.
    pub unit: Option<Unit>,
    /// Tokens of a window; at most what the model reads.
    pub context: usize,
    /// Tokens that a window after the first one scores; without a number, half of the window.
    pub stride: Option<usize>,
}

/// A model's row of a matrix of losses.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelRow {
    /// Name in tables, unique in its matrix.
    pub name: String,
    /// What the model is made of.
    pub identity: Vec<Input>,
    /// Weights, where known.
    pub parameters: Option<u64>,
    /// Tokens of a window, and those that a window after the first one scores.
    pub window: (usize, usize),
    /// What stood before the first token of a text without a prompt.
    pub begins_after: String,
    /// Whether its tokens are other ones than the columns, so that losses were spread over bytes.
    pub spread: bool,
    /// Nats a token.
    pub loss: Ratio,
    /// e to the loss.
    pub perplexity: Ratio,
    /// log₂ e · nats a byte: comparable between tokenizers.
    pub bits_per_byte: Ratio,
    /// Share of tokens that were the most probable ones, where the model says.
    pub greedy: Option<Ratio>,
    /// Bits a byte of each domain.
    pub domains: Vec<(String, Ratio)>,
}

/// A matrix of losses as it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Layout of this record; 1.
    pub schema_version: u32,
    /// What a column is.
    pub unit: Unit,
    /// Texts.
    pub texts: usize,
    /// Their bytes.
    pub bytes: usize,
    /// Columns.
    pub columns: usize,
    /// Rows, in the order in which models were scored.
    pub models: Vec<ModelRow>,
    /// Whether the model stood there already.
    pub kept: bool,
}

/// Scores the recipe's model on the texts and puts its row into the matrix in `out`.
pub async fn score(recipe: &Recipe, scoring: &Scoring, out: &Path, sources: &Sources, watch: &Watch) -> Result<Scores> {
    let texts = text::read(&scoring.texts)?;
    let mut matrix = Matrix::open(out, texts, scoring.unit)?;
    let flow = Flow::open(recipe, out, sources, watch)?;
    let model = flow.model()?;
    let capabilities = model.shared.discover().await?;
    if !capabilities.score {
        return Err(Error::Model {
            problem: format!("{} gives no log-probabilities of a given text", model.shared.name()),
            hint: "use a local model, or a server whose /v1/completions echoes the prompt with logprobs".into(),
        });
    }
    let name = scoring.name.clone().unwrap_or_else(|| default_name(&recipe.model, &model));
    let cut = cut(scoring, capabilities.context)?;
    let kept = add(&flow, &mut matrix, &name, &model, cut).await?;
    Ok(matrix.scores(kept))
}

/// Scores a model on a matrix's texts and adds its row; whether it stood there already.
pub(crate) async fn add(flow: &Flow<'_>, matrix: &mut Matrix, name: &str, model: &Model, cut: Cut) -> Result<bool> {
    if let Some(row) = matrix.models.iter().find(|row| row.name == name) {
        if row.identity == model.identity && row.window == (cut.context, cut.stride) {
            return Ok(true);
        }
        return Err(Error::Nothing {
            problem: format!("{} holds a row {name} already, of other weights or windows", matrix.folder().display()),
            hint: "give this model another name with --name, or another folder with --out".into(),
        });
    }
    let folder = matrix.rows().join(folder_name(name)).display().to_string();
    let row = Row::new(folder, matrix.texts.clone(), model, cut)?;
    let losses = row.carry(flow).await?;
    let begins_after = match &model.local {
        Some((_, checkpoint)) if checkpoint.tokenizer.adds_bos() => "the beginning-of-text token".into(),
        _ => format!("{BEGINNING:?}"),
    };
    let parameters = model.shared.capabilities().parameters;
    matrix.push(name, model.identity.clone(), parameters, cut, begins_after, &losses)?;
    Ok(false)
}

fn cut(scoring: &Scoring, context: Option<usize>) -> Result<Cut> {
    let context = context.map_or(scoring.context, |most| scoring.context.min(most));
    let stride = scoring.stride.unwrap_or(context / 2);
    if context < 2 || stride == 0 || stride >= context {
        return Err(Error::Nothing {
            problem: format!("windows of {context} tokens cannot move on by {stride}"),
            hint: "give --context of 2 or more, and --stride from 1 to below it".into(),
        });
    }
    Ok(Cut { context, stride })
}

/// A row's name where none is given: what the user calls the model, without what leads to it.
fn default_name(asked: &str, model: &Model) -> String {
    let asked = asked.trim_end_matches('/');
    if asked.starts_with("http") {
        return model.shared.name().into();
    }
    let name = Path::new(asked).file_name().unwrap_or(asked.as_ref()).to_string_lossy();
    name.strip_suffix(".gguf").unwrap_or(&name).into()
}

/// A name as a folder: letters, digits, points, lines; two names never share one.
fn folder_name(name: &str) -> String {
    let plain: String = name.chars().map(|c| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '_' }).collect();
    if plain == name && !name.starts_with('.') {
        return plain;
    }
    format!("_{plain}-{}", &record::shard::sha256(name.as_bytes())[..8])
}

#[cfg(test)]
mod tests {
    use weights::{Architecture, Checkpoint, Tokenizer};

    use super::*;

    /// An untrained decoder with a tokenizer of characters, or of more.
    fn model(seed: u64, vocab: usize) -> Model {
        let texts = ["the one and the other and the third one", "the other one and the third"];
        let tokenizer = Tokenizer::learned(texts.into_iter(), vocab).expect("a tokenizer");
        let architecture = Architecture::pico("pico-200k", tokenizer.vocab()).expect("a size");
        let checkpoint = Checkpoint::fresh(architecture, tokenizer, seed).expect("a decoder");
        let precision = lm_local::Precision::F32;
        let engine = lm_local::Config { memory_mb: 32, precision, ..lm_local::Config::default() };
        Model::of(crate::models::Weights::bare(checkpoint.into()), engine).expect("an engine")
    }

    fn texts() -> Vec<Text> {
        let text = |id: &str, domain: &str, prompt: &str, text: &str| Text {
            id: id.into(),
            domain: domain.into(),
            prompt: prompt.into(),
            text: text.into(),
        };
        vec![
            text("a", "plain", "", "the one and the other, ö and 🦀"),
            text("b", "asked", "Q: which?\nA:\n", "the third one\n"),
            text("c", "plain", "", "and"),
        ]
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn models_of_two_tokenizers_stand_on_one_grid() {
        let out = tempfile::tempdir().expect("tempdir");
        let (recipe, watch) = (Recipe::default(), Watch::new(|_| {}, None, None));
        let sources = Sources { options: assets::Options::default(), watch: watch.clone() };
        let flow = Flow::open(&recipe, out.path(), &sources, &watch).expect("a run");
        let cut = Cut { context: 64, stride: 32 };
        let (wide, narrow) = (model(1, 290), model(2, 0));
        let mut matrix = Matrix::open(out.path(), texts(), None).expect("new");
        assert!(!add(&flow, &mut matrix, "wide", &wide, cut).await.expect("scored"));
        assert!(!add(&flow, &mut matrix, "narrow", &narrow, cut).await.expect("scored"));
        assert!(add(&flow, &mut matrix, "narrow", &narrow, cut).await.expect("there already"));
        let said = add(&flow, &mut matrix, "narrow", &wide, cut).await.expect_err("other weights").to_string();
        assert!(said.contains("narrow"), "{said}");

        let matrix = Matrix::open(out.path(), texts(), None).expect("there");
        let losses = matrix.losses().expect("mapped");
        let columns: usize = matrix.columns.iter().map(|columns| columns.ends.len()).sum();
        assert_eq!((losses.models(), losses.columns()), (2, columns));
        let bytes: usize = texts().iter().map(|text| text.text.len()).sum();
        assert!(columns < bytes, "merges make fewer columns than bytes");
        let [a, b] = &matrix.models[..] else { panic!("two rows") };
        assert!(!a.spread && b.spread && a.loss.n < b.loss.n && b.loss.n == bytes as f64);
        for (m, row) in matrix.models.iter().enumerate() {
            let nats: f64 = losses.row(m).iter().map(|x| f64::from(*x)).sum();
            assert!((nats - row.loss.value * row.loss.n).abs() < 1e-3, "{nats} {row:?}");
            assert!((row.bits_per_byte.value - nats / bytes as f64 / std::f64::consts::LN_2).abs() < 1e-6);
            assert_eq!(row.domains.iter().map(|(_, bits)| bits.texts).collect::<Vec<_>>(), [1, 2]);
        }
        // What stands there is what the model says to a text behind its prompt.
        let said = &texts()[1];
        let request = lm::Score {
            prompt: lm::Prompt::Raw(said.prompt.clone()),
            continuation: said.text.as_str().into(),
            adapter: None,
            top_logprobs: 0,
        };
        let whole = -narrow.shared.score(request).await.expect("scored").sum();
        let asked = b.domains[0].1;
        assert!((asked.value * asked.n * std::f64::consts::LN_2 - whole).abs() < 1e-3, "{asked:?} {whole}");

        let mut other = texts();
        other[2].text = "other".into();
        let refused = |texts, unit| Matrix::open(out.path(), texts, unit).err().expect("refused").to_string();
        assert!(refused(other, None).contains("c differs"));
        assert!(refused(texts()[..2].to_vec(), None).contains("on 3 texts, not on 2"));
        assert!(refused(texts(), Some(Unit::Byte)).contains("byte"));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn windows_score_every_token_and_what_cannot_move_is_refused() {
        let out = tempfile::tempdir().expect("tempdir");
        let (recipe, watch) = (Recipe::default(), Watch::new(|_| {}, None, None));
        let sources = Sources { options: assets::Options::default(), watch: watch.clone() };
        let flow = Flow::open(&recipe, out.path(), &sources, &watch).expect("a run");
        let model = model(3, 0);
        assert!(model.shared.capabilities().score);
        let mut matrix = Matrix::inside(out.path(), "m", texts(), Unit::Word).expect("new");
        for (name, context) in [("long", 64), ("short", 8)] {
            add(&flow, &mut matrix, name, &model, Cut { context, stride: context / 2 }).await.expect("scored");
        }
        let [long, short] = &matrix.models[..] else { panic!("two rows") };
        assert_eq!((long.loss.n, long.loss.texts), (short.loss.n, 3));
        assert!(long.loss.value != short.loss.value && long.loss.standard_error.is_some());
        let scoring = |context, stride| Scoring { texts: Vec::new(), name: None, unit: None, context, stride };
        assert!(cut(&scoring(1, None), None).is_err() && cut(&scoring(8, Some(8)), None).is_err());
        let cut = cut(&scoring(4096, None), Some(100)).expect("fits");
        assert_eq!((cut.context, cut.stride), (100, 50));
        assert_eq!((folder_name("a-1.5").as_str(), folder_name("a/b").starts_with("_a_b-")), ("a-1.5", true));
    }
}
