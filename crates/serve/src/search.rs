//! Answers that are searched for: a strategy of `decode` in place of one plain request.

use lm::Generate;

use crate::Shared;
use crate::answer::{Answer, Echo, Outlet};
use crate::ask::Ask;
use crate::fields::Fields;
use crate::refusal::{Answered, Refusal};

/// How an answer is searched for.
pub(crate) enum Plan {}

impl Plan {
    /// Reads the strategy, from the model's name or the body.
    pub fn read(fields: &Fields, named: Option<&str>, _request: &Generate) -> Answered<Option<Self>> {
        if named.is_some() || fields.get("strategy").is_some() {
            return Err(Refusal::unsupported("strategy", "is not supported yet"));
        }
        Ok(None)
    }
}

pub(crate) async fn run(
    plan: &Plan,
    _ask: &Ask,
    _echo: Option<Echo>,
    _outlet: &Outlet,
    _shared: &Shared,
) -> Answered<Answer> {
    match *plan {}
}

pub(crate) fn list() -> Vec<(String, String)> {
    Vec::new()
}

pub(crate) fn knows(_name: &str) -> bool {
    false
}

pub(crate) fn settings(_name: &str) -> Option<serde_json::Value> {
    None
}
