use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// A remote model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Addresses that serve the same model, e.g. `http://127.0.0.1:8080` or `https://host/v1`; a
    /// fragment, as in `https://host/v1#qwen`, names the model.
    pub addresses: Vec<String>,
    /// Name of the model at the server; none takes the first one that the server lists.
    pub model: Option<String>,
    /// Environment variable that holds the key. None takes `OPENAI_API_KEY` if that is set.
    pub key_env: Option<String>,
    /// Send the key over plain http to other machines as well.
    pub key_over_http: bool,
    /// Folder of the request cache; none asks the server every time.
    pub cache: Option<PathBuf>,
    /// How long is waited.
    pub timeouts: Timeouts,
    /// How a failed request is tried again.
    pub retry: Retry,
    /// What may be spent in all.
    pub budget: Budget,
    /// What tokens cost, where it is known.
    pub price: Option<Price>,
    /// Requests under way at once, over all addresses.
    pub concurrency: usize,
    /// Largest answer in bytes; a larger one is an error.
    pub answer_bytes: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            addresses: Vec::new(),
            model: None,
            key_env: None,
            key_over_http: false,
            cache: None,
            timeouts: Timeouts::default(),
            retry: Retry::default(),
            budget: Budget::default(),
            price: None,
            concurrency: 16,
            answer_bytes: 16 << 20,
        }
    }
}

/// How long is waited, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// Until a connection stands.
    pub connect: f64,
    /// Without a byte from the server: before the first one, and between any two. A server that does
    /// not stream says nothing while it generates.
    pub silence: f64,
    /// For a whole answer.
    pub whole: f64,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: 10.0, silence: 300.0, whole: 900.0 }
    }
}

/// How a failed request is tried again: after attempt k (from 0) the wait is drawn from
/// [0, min(longest, first · 2^k)] seconds, or what the server asks for, if that is more.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retry {
    /// Attempts in all, at least 1.
    pub attempts: u32,
    /// Bound of the first wait in seconds.
    pub first: f64,
    /// Bound of any wait in seconds that we choose ourselves.
    pub longest: f64,
    /// Seconds for all attempts and waits of one request.
    pub total: f64,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: 6, first: 0.5, longest: 30.0, total: 1800.0 }
    }
}

/// What may be spent over the life of the model; answers from the request cache are free.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Budget {
    /// Tokens, prompts and completions together.
    pub tokens: Option<u64>,
    /// US dollars; needs a price.
    pub usd: Option<f64>,
}

/// US dollars a million tokens.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Prompt tokens.
    pub input: f64,
    /// Prompt tokens that the server had in its cache.
    pub cached: f64,
    /// Generated tokens.
    pub output: f64,
}

impl Config {
    /// Settings for one address with all else as it comes. A fragment names the model:
    /// `http://127.0.0.1:8080#qwen`.
    pub fn for_address(address: &str) -> Self {
        Self { addresses: vec![address.into()], ..Self::default() }
    }

    /// Takes the model's name out of the addresses' fragments; two different names are an error.
    pub(crate) fn resolve(mut self) -> Result<Self> {
        for address in &mut self.addresses {
            let Some((base, model)) = address.split_once('#') else { continue };
            let (base, model) = (base.to_string(), model.to_string());
            *address = base;
            match &self.model {
                _ if model.is_empty() => {}
                Some(known) if *known != model => {
                    let problem = format!("names {known:?} and {model:?}; all addresses must serve one model");
                    return Err(Error::Setting { field: "model", problem });
                }
                _ => self.model = Some(model),
            }
        }
        Ok(self)
    }

    /// Checks every field's range.
    pub fn validate(&self) -> Result<()> {
        let check = |ok: bool, field, problem: &str| {
            if ok { Ok(()) } else { Err(Error::Setting { field, problem: problem.into() }) }
        };
        // A day is more than anybody waits, and less than a Duration can hold.
        let seconds = |value: f64| value.is_finite() && value > 0.0 && value <= 86_400.0;
        check(!self.addresses.is_empty(), "addresses", "must hold at least one address")?;
        check(seconds(self.timeouts.connect), "timeouts.connect", "must lie in (0, 86400] seconds")?;
        check(seconds(self.timeouts.silence), "timeouts.silence", "must lie in (0, 86400] seconds")?;
        check(seconds(self.timeouts.whole), "timeouts.whole", "must lie in (0, 86400] seconds")?;
        check((1..=100).contains(&self.retry.attempts), "retry.attempts", "must lie in 1..=100")?;
        check(seconds(self.retry.first), "retry.first", "must lie in (0, 86400] seconds")?;
        check(seconds(self.retry.longest), "retry.longest", "must lie in (0, 86400] seconds")?;
        check(seconds(self.retry.total), "retry.total", "must lie in (0, 86400] seconds")?;
        check((1..=4096).contains(&self.concurrency), "concurrency", "must lie in 1..=4096")?;
        check(self.answer_bytes >= 1024, "answer_bytes", "must be 1024 or more")?;
        let usd_known = self.budget.usd.is_none() || self.price.is_some();
        check(usd_known, "budget.usd", "needs a price")?;
        let money = |value: f64| value.is_finite() && value >= 0.0;
        check(self.budget.usd.is_none_or(money), "budget.usd", "must be 0 or more")?;
        let prices = self.price.is_none_or(|p| money(p.input) && money(p.cached) && money(p.output));
        check(prices, "price", "must be 0 or more")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fragment_names_the_model_and_unknown_settings_are_refused() {
        let named = |addresses: &[&str]| {
            let addresses = addresses.iter().map(ToString::to_string).collect();
            Config { addresses, ..Config::default() }.resolve()
        };
        let config = Config::for_address("http://127.0.0.1:1#qwen").resolve().expect("named");
        assert_eq!((config.addresses[0].as_str(), config.model.as_deref()), ("http://127.0.0.1:1", Some("qwen")));
        config.validate().expect("valid");
        assert_eq!(named(&["http://a#m", "http://b", "http://c#m"]).expect("one").model.as_deref(), Some("m"));
        assert!(matches!(named(&["http://a#m", "http://b#n"]), Err(Error::Setting { field: "model", .. })));
        let none = named(&["http://127.0.0.1:1#"]).expect("none");
        assert_eq!(none.model, None);
        assert!(serde_json::from_str::<Config>("{\"adresses\":[]}").is_err());
        let usd = Config { budget: Budget { usd: Some(1.0), tokens: None }, ..none.clone() };
        assert!(matches!(usd.validate(), Err(Error::Setting { field: "budget.usd", .. })));
        let never = Config { timeouts: Timeouts { silence: f64::INFINITY, ..Timeouts::default() }, ..none };
        assert!(matches!(never.validate(), Err(Error::Setting { field: "timeouts.silence", .. })));
        assert!(matches!(Config::default().validate(), Err(Error::Setting { field: "addresses", .. })));
    }
}
