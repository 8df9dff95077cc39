//! Set, sit and mark an exam.
//!
//! [`read_bank`] and [`control`] set it, [`sit`] asks every item of one model and marks the answers,
//! [`score`] counts a sitting, [`compare`] sets two sittings of the same bank side by side,
//! [`pairs`] any number of persons, each against each; [`statistics`] are what they rest on;
//! [`overlap`] measures whether the questions stood in the training samples. [`paper`] is a real paper with items
//! of several types and the checks of a closed book, [`grade`] marks the answers to it, [`calibration`] holds judges
//! against people.
//!
//! Invariants: every item gives exactly one response, in the order of the items; a failed request
//! or an abstention scores 0 and stays in the denominator. A comparison pairs by item, and refuses
//! banks that differ. Standard errors are clustered by fact, since several wordings of one fact are
//! not independent. An exam or control bank never feeds training or a selection:
//! [`require_not_exam`] is called by whatever trains or selects.

mod adapt;
mod bank;
pub mod calibration;
mod compare;
mod config;
mod control;
mod error;
pub mod gaokao;
pub mod grade;
mod normalise;
mod overlap;
mod pairs;
pub mod paper;
pub mod scored;
mod sit;
pub mod statistics;
mod tally;

pub use adapt::{Adapted, Known, Step, adapt};
pub use bank::{check_bank, read_bank, require_not_exam};
pub use compare::{Comparison, Group, Verdict, compare};
pub use config::Config;
pub use control::control;
pub use error::{Error, Result};
pub use normalise::{abstains, contains, exact_match, normalise, token_f1};
pub use overlap::{Overlap, overlap};
pub use pairs::{By, Pair, Pairing, Scores, Standing, Standings, pairs};
pub use sit::{shown, sit};
pub use statistics::{Estimate, McNemar, clustered_mean, mcnemar, wilson};
pub use tally::{Tally, score};
