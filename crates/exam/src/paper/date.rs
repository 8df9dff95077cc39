use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A day, written as YYYY-MM-DD. Days are ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

impl Date {
    /// The day, if there is such a day in the Gregorian calendar.
    pub fn new(year: u16, month: u8, day: u8) -> Option<Self> {
        let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let days = match month {
            2 => 28 + u8::from(leap),
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => 0,
        };
        (1..=days).contains(&day).then_some(Self { year, month, day })
    }
}

impl FromStr for Date {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split('-').collect();
        let digits = |part: &str, length: usize| part.len() == length && part.bytes().all(|b| b.is_ascii_digit());
        let date = match parts[..] {
            [year, month, day] if digits(year, 4) && digits(month, 2) && digits(day, 2) => {
                year.parse().ok().zip(month.parse().ok()).zip(day.parse().ok())
            }
            _ => None,
        };
        let date = date.and_then(|((year, month), day)| Self::new(year, month, day));
        date.ok_or_else(|| format!("{text:?} is no day; write YYYY-MM-DD in quotes"))
    }
}

impl TryFrom<String> for Date {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Date> for String {
    fn from(date: Date) -> Self {
        date.to_string()
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_read_ordered_and_written() {
        let day = |text: &str| text.parse::<Date>();
        assert!(day("2024-06-07").expect("a day") < day("2024-10-01").expect("a day"));
        assert_eq!(day("2024-02-29").expect("a leap day").to_string(), "2024-02-29");
        for wrong in ["2023-02-29", "1900-02-29", "2024-13-01", "2024-00-10", "2024-6-7", "7.6.2024", "", "2024-06-31"]
        {
            assert!(day(wrong).expect_err(wrong).contains("YYYY-MM-DD"));
        }
    }
}
