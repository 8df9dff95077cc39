//! A real paper: items of several types with points, sat closed-book, with the checks of what a model
//! may have seen.
//!
//! [`read_paper`] reads one, [`sit_paper`] lets a model answer it, [`total`] sums the points of a person,
//! [`closed_book`] holds the model's date against the exam's, [`ngrams`] looks for the questions in a folder
//! of texts, [`familiar`] asks the model itself how well it knows them.

mod answer;
mod beyond;
mod blank;
mod closed;
mod date;
mod essay;
mod familiar;
mod item;
mod letters;
mod min_k;
mod multiple;
mod ngrams;
mod open;
mod read;
mod single;
mod sit;
mod total;

use serde::{Deserialize, Serialize};

pub use answer::{Answer, read_answers};
pub use beyond::Beyond;
pub use blank::Blank;
pub use closed::{ClosedBook, closed_book};
pub use date::Date;
pub use essay::{Criterion, Essay, Level};
pub use familiar::{Familiar, FamiliarConfig, FamiliarItem, familiar};
pub use item::{Item, Kind, Part};
pub use min_k::{min_k, min_k_plus};
pub use multiple::{Credit, Multiple};
pub use ngrams::{Found, FoundItem, ngrams};
pub use open::{Open, Step};
pub use read::{is_paper, read_paper};
pub use single::Single;
pub use sit::{Sitting, asked, sit_paper};
pub use total::{Choice, Total, total};

/// A paper: what was set, when, and under which licence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Paper {
    /// Its name.
    pub title: String,
    /// Day of the exam.
    pub date: Date,
    /// Subject.
    pub subject: String,
    /// Licence of its text, e.g. `CC0-1.0`.
    pub licence: String,
    /// The items, in the order of the paper.
    #[serde(default)]
    pub items: Vec<Item>,
}

impl Paper {
    /// The item of this id.
    pub fn item(&self, id: &str) -> Option<&Item> {
        self.items.iter().find(|item| item.id == id)
    }
}
