use std::path::Path;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::{StreamExt, TryStreamExt};
use lm::{Score, SharedModel};
use record::{Input, Usage};
use serde::{Deserialize, Serialize};

use super::spans::{Piece, ends};
use super::text::Text;
use super::window::{Cut, Window, by_bytes, by_tokens};
use crate::carry::Stage;
use crate::models::{Meter, Model};
use crate::plan::{Output, Record};
use crate::stages::{piece, pieces};
use crate::verbs::Flow;
use crate::{Error, Event, Result, Watch};

/// Windows that are asked for at once.
const AT_ONCE: usize = 16;
/// Windows a shard.
const SHARD: usize = 64;

/// What a model said to a text, or to a part of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TokenLosses {
    /// Id of the text.
    pub text: String,
    /// Where each token ends, in bytes from the text's beginning.
    pub ends: Vec<usize>,
    /// −ln p of each token, in nats.
    pub losses: Vec<f32>,
    /// Whether each token was the most probable one at its place; empty where the model does not say.
    pub greedy: Vec<bool>,
}

/// Texts in, the losses of one model's tokens out.
pub(crate) struct Row {
    /// Name of the stage's folder.
    pub folder: String,
    pub texts: Arc<Vec<Text>>,
    pub model: SharedModel,
    pub adapter: Option<String>,
    pub identity: Vec<Input>,
    pub meter: Meter,
    pub cut: Cut,
    windows: Vec<Window>,
}

impl Row {
    pub fn new(folder: String, texts: Arc<Vec<Text>>, model: &Model, cut: Cut) -> Result<Self> {
        let mut windows = Vec::new();
        for (place, text) in texts.iter().enumerate() {
            windows.extend(match &model.local {
                Some((_, checkpoint)) => by_tokens(place, text, &checkpoint.tokenizer, cut)
                    .map_err(|at| unspelled(model.shared.name(), text, at))?,
                None => by_bytes(place, text, cut),
            });
        }
        Ok(Self {
            folder,
            model: model.shared.clone(),
            adapter: model.adapter.clone(),
            identity: model.identity.clone(),
            meter: model.meter.clone(),
            cut,
            texts,
            windows,
        })
    }

    /// The losses of every text, in their order; measured now where they are not there yet.
    pub async fn carry(self, flow: &Flow<'_>) -> Result<Vec<TokenLosses>> {
        let texts = self.texts.clone();
        let carried = flow.carry(&self).await?;
        let mut parts =
            carried.records.into_iter().filter_map(|r| if let Record::Loss(l) = r { Some(l) } else { None });
        let mut next = parts.next();
        let whole = texts.iter().map(|text| {
            let mut all = TokenLosses { text: text.id.clone(), ..TokenLosses::default() };
            while let Some(part) = next.take_if(|part| part.text == text.id) {
                all.ends.extend(part.ends);
                all.losses.extend(part.losses);
                all.greedy.extend(part.greedy);
                next = parts.next();
            }
            all
        });
        Ok(whole.collect())
    }

    async fn ask(&self, window: &Window) -> Result<(TokenLosses, Usage)> {
        let text = &self.texts[window.text];
        let request = Score {
            prompt: window.prompt.clone(),
            continuation: window.span.clone(),
            adapter: self.adapter.clone(),
            top_logprobs: 0,
        };
        let scored = self.model.score(request).await?;
        if let Some(token) = scored.tokens.iter().find(|token| !token.logprob.is_finite()) {
            let problem = format!(
                "{} gives token {:?} of text {} the log-probability {}",
                self.model.name(),
                token.text,
                text.id,
                token.logprob
            );
            return Err(Error::Model { problem, hint: "leave the text or the model out".into() });
        }
        let ends = if window.ends.is_empty() {
            let pieces: Vec<Piece> = scored.tokens.iter().map(|token| Piece::Text(&token.text)).collect();
            let ends = ends(window.span.text.as_bytes(), &pieces);
            let ends = ends.map_err(|at| unspelled(self.model.name(), text, window.from + at))?;
            ends.into_iter().map(|end| window.from + end).collect()
        } else {
            window.ends.clone()
        };
        let greedy: Option<Vec<bool>> = scored.tokens.iter().map(|token| token.greedy).collect();
        let losses = scored.tokens.iter().map(|token| -token.logprob).collect();
        let losses = TokenLosses { text: text.id.clone(), ends, losses, greedy: greedy.unwrap_or_default() };
        Ok((losses, scored.usage))
    }
}

fn unspelled(model: &str, text: &Text, at: usize) -> Error {
    Error::Model {
        problem: format!("the tokens of {model} do not spell text {} from byte {at} on", text.id),
        hint: "its tokenizer changes what it reads (case, accents, spaces); leave such texts or the model out".into(),
    }
}

#[async_trait::async_trait]
impl Stage for Row {
    fn name(&self) -> String {
        self.folder.clone()
    }

    fn settings(&self) -> serde_json::Value {
        serde_json::json!({
            "context": self.cut.context, "stride": self.cut.stride, "adapter": self.adapter.is_some(), "shard": SHARD,
        })
    }

    fn inputs(&self) -> Vec<Input> {
        let bytes = record::shard::to_jsonl(&self.texts[..]).unwrap_or_default();
        let mut inputs = self.identity.clone();
        inputs.push(Input { path: "texts".into(), sha256: record::shard::sha256(&bytes) });
        inputs
    }

    fn shards(&self) -> u32 {
        pieces(self.windows.len(), SHARD)
    }

    async fn run_shard(&self, shard: u32, _: &Path, watch: &Watch) -> Result<Output> {
        let windows = piece(&self.windows, SHARD, shard);
        let paid = (self.meter)();
        let mut output = Output::default();
        let asks: Vec<BoxFuture<'_, _>> = windows.iter().map(|window| self.ask(window).boxed()).collect();
        let mut answers = futures::stream::iter(asks).buffered(AT_ONCE);
        while let Some((losses, usage)) = answers.try_next().await? {
            output.records.push(Record::Loss(losses));
            output.usage += usage;
            watch.tell(Event::Progress {
                stage: self.folder.clone(),
                done: (shard as usize * SHARD + output.records.len()) as u64,
                total: self.windows.len() as u64,
                detail: "windows".into(),
            });
        }
        output.cost_usd = (self.meter)() - paid;
        Ok(output)
    }
}
