use serde::{Deserialize, Serialize};

use super::Date;

/// Whether a model can have learned a paper.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClosedBook {
    /// Its weights were public before the day of the exam.
    Closed,
    /// Its weights were public on that day or later: it may have learned the paper, and does not count.
    After,
    /// Nobody says when its weights were public: it does not count either.
    Unknown,
}

impl ClosedBook {
    /// In a few words.
    pub fn says(self) -> &'static str {
        match self {
            Self::Closed => "public before the exam",
            Self::After => "public after the exam: does not count as closed-book",
            Self::Unknown => "date of the weights unknown: does not count as closed-book",
        }
    }
}

/// Holds the day on which weights became public against the day of the exam. The same day is too late:
/// papers are known from its morning.
pub fn closed_book(exam: Date, published: Option<Date>) -> ClosedBook {
    match published {
        None => ClosedBook::Unknown,
        Some(day) if day < exam => ClosedBook::Closed,
        Some(_) => ClosedBook::After,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_weights_from_before_count() {
        let day = |text: &str| text.parse::<Date>().expect("a day");
        let exam = day("2024-06-07");
        assert_eq!(closed_book(exam, Some(day("2024-06-06"))), ClosedBook::Closed);
        assert_eq!(closed_book(exam, Some(exam)), ClosedBook::After);
        assert_eq!(closed_book(exam, Some(day("2025-01-01"))), ClosedBook::After);
        assert_eq!(closed_book(exam, None), ClosedBook::Unknown);
    }
}
