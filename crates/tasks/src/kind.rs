use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Error;

/// The kinds of problems.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Chained arithmetic, one operation after the other.
    Chain,
    /// Word problems with names and things.
    Words,
    /// Rewriting rules, applied in turn.
    Rules,
    /// Look-ups in maps, lists and tables.
    Lookup,
    /// Places that are described by other places, hop by hop.
    Hops,
    /// Operations on a string, in turn.
    Strings,
    /// A few lines of a program, traced.
    Programs,
}

impl Kind {
    /// Every kind, in a fixed order.
    pub const ALL: [Self; 7] =
        [Self::Chain, Self::Words, Self::Rules, Self::Lookup, Self::Hops, Self::Strings, Self::Programs];

    /// The name on the command line and in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Chain => "chain",
            Self::Words => "words",
            Self::Rules => "rules",
            Self::Lookup => "lookup",
            Self::Hops => "hops",
            Self::Strings => "strings",
            Self::Programs => "programs",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Kind {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(|| Error::Unknown {
            what: "kind",
            name: name.into(),
            known: Self::ALL.map(Self::name).join(", "),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_written_alike_in_json() {
        for kind in Kind::ALL {
            assert_eq!(kind.name().parse::<Kind>().expect("known"), kind);
            assert_eq!(serde_json::to_string(&kind).expect("json"), format!("{:?}", kind.name()));
        }
        let message = "chains".parse::<Kind>().expect_err("unknown").to_string();
        assert!(message.contains("chains") && message.contains("hops"), "{message}");
    }
}
