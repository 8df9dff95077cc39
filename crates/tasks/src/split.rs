use std::fmt;
use std::str::FromStr;

use record::{Bank, seed};
use serde::{Deserialize, Serialize};

use crate::Error;

/// What a problem may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// To learn from: about 80 of 100 questions.
    Train,
    /// For early stopping, fitness and thresholds: about 10 of 100.
    Validation,
    /// To prove what was learned: about 10 of 100. Never a sample, reward or fitness.
    Exam,
}

impl Split {
    /// Every split.
    pub const ALL: [Self; 3] = [Self::Train, Self::Validation, Self::Exam];

    /// The split that a question belongs to, by its text and nothing else: a hash of the text modulo
    /// 100 below 80 is train, below 90 validation, else exam. Kind, difficulty and seed have no part
    /// in it, so that one question cannot stand in two splits.
    pub fn of(question: &str) -> Self {
        match seed::derive(0, "tasks/split", question) % 100 {
            0..80 => Self::Train,
            80..90 => Self::Validation,
            _ => Self::Exam,
        }
    }

    /// The name on the command line and in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Exam => "exam",
        }
    }

    /// The bank that items of this split belong to.
    pub fn bank(self) -> Bank {
        match self {
            Self::Train => Bank::Practice,
            Self::Validation => Bank::Validation,
            Self::Exam => Bank::Exam,
        }
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Split {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|split| split.name() == name).ok_or_else(|| Error::Unknown {
            what: "split",
            name: name.into(),
            known: Self::ALL.map(Self::name).join(", "),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_as_documented() {
        let mut counts = [0usize; 3];
        for i in 0..20_000 {
            counts[Split::of(&format!("question {i}")) as usize] += 1;
        }
        // Five standard deviations of a binomial count around 16,000, 2,000 and 2,000.
        assert!(counts[0].abs_diff(16_000) < 283, "{counts:?}");
        assert!(counts[1].abs_diff(2_000) < 213 && counts[2].abs_diff(2_000) < 213, "{counts:?}");
    }

    #[test]
    fn names_are_read_back() {
        for split in Split::ALL {
            assert_eq!(split.name().parse::<Split>().expect("known"), split);
        }
        assert!("test".parse::<Split>().expect_err("unknown").to_string().contains("validation"));
    }
}
