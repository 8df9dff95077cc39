//! Marking the answers to a paper.
//!
//! [`scripts`] takes names off answers and shuffles them, graders mark them — by [`rule`], by a [`Judge`]
//! model, or by hand on sheets ([`sheet_csv`]) that [`read_sheet`] reads back — and [`settle`] makes one
//! score of the marks: their mean, or that of the closest two after a further marking where graders differ
//! too much. [`table`] keeps every mark with its grader's name.
//!
//! Invariants: no grader learns whose answer it marks. Every script is settled: an answer that failed, is
//! missing or could not be marked counts as 0 and is counted. A mark that gives more than there is to give is
//! refused, never cut down.

mod code;
mod given;
mod judge;
mod mark;
mod page;
mod rule;
mod script;
mod settle;
mod sheet;
mod table;

pub use code::{Key, KeyLine};
pub use given::read_given;
pub use judge::{Judge, JudgeConfig, addresses_marker};
pub use mark::Mark;
pub use page::sheet_html;
pub use rule::rule;
pub use script::{Script, scripts};
pub use settle::{Basis, Settled, discrepant, settle, spread};
pub use sheet::{read_sheet, sheet_csv};
pub use table::table;

#[cfg(test)]
pub(crate) use script::tests as example;
