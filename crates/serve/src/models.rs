use std::sync::Arc;

use axum::http::StatusCode;
use lm::{Embedder, SharedModel};

use crate::refusal::{Answered, Refusal};
use crate::{Error, Result};

/// A model under the name that clients ask for.
#[derive(Clone)]
pub struct Entry {
    /// The name, e.g. `smollm2-135m`.
    pub id: String,
    /// Answers.
    pub model: SharedModel,
    /// Name of the adapter that answers go through, or none.
    pub adapter: Option<String>,
}

/// What is served.
#[derive(Clone, Default)]
pub struct Models {
    /// The models; a request that names none gets the first.
    pub entries: Vec<Entry>,
    /// Answers `/v1/embeddings`, if there is one.
    pub embedder: Option<Arc<dyn Embedder>>,
}

impl Models {
    /// Refuses an empty list, and two models of one name.
    pub(crate) fn validate(&self) -> Result<()> {
        if self.entries.is_empty() {
            return Err(Error::Models("there is none to serve".into()));
        }
        for (at, entry) in self.entries.iter().enumerate() {
            if entry.id.is_empty() || self.entries[..at].iter().any(|other| other.id == entry.id) {
                return Err(Error::Models(format!("the name {:?} is empty or given twice", entry.id)));
            }
        }
        Ok(())
    }

    /// The model of a name, and the strategy's name where the name ends with one: `NAME:STRATEGY`.
    pub(crate) fn find<'a>(&self, name: Option<&'a str>) -> Answered<(&Entry, Option<&'a str>)> {
        let Some(name) = name else { return Ok((&self.entries[0], None)) };
        if let Some(entry) = self.entries.iter().find(|entry| entry.id == name) {
            return Ok((entry, None));
        }
        let split = |entry: &'_ Entry| name.strip_prefix(entry.id.as_str())?.strip_prefix(':');
        if let Some((entry, strategy)) = self.entries.iter().find_map(|entry| Some((entry, split(entry)?))) {
            return Ok((entry, Some(strategy)));
        }
        Err(self.unknown(name))
    }

    /// The answer to a name that is not served.
    pub(crate) fn unknown(&self, name: &str) -> Refusal {
        let known: Vec<_> = self.entries.iter().map(|entry| entry.id.as_str()).collect();
        let name: String = name.chars().take(100).collect();
        let message = format!("there is no model {name:?} here; there is {}", known.join(", "));
        Refusal { param: Some("model".into()), ..Refusal::new(StatusCode::NOT_FOUND, "model_not_found", message) }
    }
}

#[cfg(test)]
mod tests {
    use lm::ScriptedModel;

    use super::*;

    #[test]
    fn a_name_may_hold_colons_and_end_with_a_strategy() {
        let entry = |id: &str| Entry { id: id.into(), model: Arc::new(ScriptedModel::new()), adapter: None };
        let models = Models { entries: vec![entry("a"), entry("a:b"), entry("org/c")], embedder: None };
        let find = |name| models.find(name).map(|(entry, strategy)| (entry.id.clone(), strategy)).ok();
        assert_eq!(find(None), Some(("a".into(), None)));
        assert_eq!(find(Some("a:b")), Some(("a:b".into(), None)));
        assert_eq!(find(Some("a:phi")), Some(("a".into(), Some("phi"))));
        assert_eq!(find(Some("org/c:beam-4")), Some(("org/c".into(), Some("beam-4"))));
        assert_eq!(find(Some("ab")), None);
        assert!(Models { entries: vec![entry("a"), entry("a")], embedder: None }.validate().is_err());
        assert!(Models::default().validate().is_err());
    }
}
