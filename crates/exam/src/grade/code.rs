use serde::{Deserialize, Serialize};

use super::Script;

/// Who stands behind the codes; kept apart from the marking sheets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Key {
    /// Layout of this record; 1.
    pub schema_version: u32,
    /// One line a script.
    pub scripts: Vec<KeyLine>,
}

/// Who stands behind a code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyLine {
    /// The code.
    pub code: String,
    /// Id of the item.
    pub item: String,
    /// Who wrote the answer.
    pub person: String,
    /// Number of the attempt.
    pub attempt: u16,
}

impl Key {
    /// The key of these scripts, by code.
    pub fn of(scripts: &[Script]) -> Self {
        let line = |script: &Script| KeyLine {
            code: script.code.clone(),
            item: script.item.clone(),
            person: script.person.clone(),
            attempt: script.attempt,
        };
        let mut scripts: Vec<KeyLine> = scripts.iter().map(line).collect();
        scripts.sort_by(|a, b| a.code.cmp(&b.code));
        Self { schema_version: 1, scripts }
    }
}
