use exam::grade::{Mark, read_given, read_sheet};

use super::{Desk, Grader};
use crate::Result;

/// Marks that people gave, under the name of their file or the names in it.
pub(super) fn hand(grader: &Grader, desk: &Desk) -> Result<Vec<Mark>> {
    match grader {
        Grader::Human(path) => {
            let name = path.file_stem().map_or_else(|| "human".into(), |stem| stem.to_string_lossy().into_owned());
            Ok(read_sheet(path, &desk.paper, &desk.scripts, &name)?)
        }
        Grader::Given(path) => Ok(read_given(path, &desk.paper, &desk.scripts)?),
        Grader::Rule | Grader::Model { .. } => Ok(Vec::new()),
    }
}
