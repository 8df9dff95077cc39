//! One reader a format. Each brings what it finds to the [`Intake`](crate::intake::Intake).

pub(crate) mod answers;
pub(crate) mod csv;
pub(crate) mod helm;
pub(crate) mod inspect;
pub(crate) mod lines;
pub(crate) mod lm_eval;
pub(crate) mod open_compass;
pub(crate) mod parquet;
