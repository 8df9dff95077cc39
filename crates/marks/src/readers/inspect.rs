use crate::intake::Intake;
use crate::sitting::Sitting;
use crate::{Error, Result};
use std::path::Path;
pub(crate) fn sitting(_path: &Path) -> Option<Sitting> {
    None
}
pub(crate) fn read(path: &Path, _person: &str, _intake: &mut Intake) -> Result<()> {
    Err(Error::no_log(path, "cannot be read yet"))
}
