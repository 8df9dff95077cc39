use serde::{Deserialize, Deserializer, Serialize};

use super::{Explore, Genius, SelfRewarding, Star, Vote};
use crate::{Error, Result};

/// How preferences are found. Every setting has a default: `{"kind": "genius"}` is enough.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Method {
    /// Steps explored and paired by how probable what follows them is.
    Genius(Genius),
    /// The own most probable answer, taken as good.
    #[serde(deserialize_with = "nothing")]
    Greedy,
    /// The majority's answers against the others.
    Vote(Vote),
    /// The answer that the model thinks most of against that which it thinks least of.
    SelfRewarding(SelfRewarding),
    /// The right answers, by label.
    Star(Star),
}

/// Refuses settings for a method that has none.
fn nothing<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<(), D::Error> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Nothing {}
    Nothing::deserialize(deserializer).map(|Nothing {}| ())
}

/// What can be asked for by name, and what it does.
const LIST: &[(&str, &str)] = &[
    ("genius", "Genius as the paper has it: at each step the response with the likeliest future against a drawn one"),
    ("genius-released", "Genius as the authors' code draws: the worse response evenly from all others"),
    ("genius-no-foresight", "Genius that values steps by themselves"),
    ("genius-greedy", "Genius that goes on from the best steps instead of drawing them"),
    ("greedy", "the model's own most probable answer, taken as good"),
    ("vote-8", "8 drawn answers, what most say against the rest; any number, none: as many as the budget pays"),
    ("self-rewarding-4", "4 drawn answers, the model's own favourite against its least liked; any number or none"),
    ("star-8", "8 drawn answers, the right ones by label, as the ceiling of the others; any number or none"),
];

impl Method {
    /// Names for [`Method::parse`], each with a line that says what it does.
    pub fn list() -> Vec<(String, String)> {
        LIST.iter().map(|(name, what)| (name.to_string(), what.to_string())).collect()
    }

    /// Reads a name as in [`Method::list`] (numbers free, Genius' endings in any combination), or
    /// JSON as `{"kind": "genius", "beams": 4}`.
    pub fn parse(name: &str) -> Result<Self> {
        let setting = |problem: String| Error::Setting { strategy: "practice".into(), problem };
        let method = if name.trim_start().starts_with('{') {
            serde_json::from_str(name).map_err(|error| setting(error.to_string()))?
        } else {
            Self::named(name).ok_or_else(|| {
                let names: Vec<&str> = LIST.iter().map(|(name, _)| *name).collect();
                setting(format!("no method is called {name:?}; the methods are {}", names.join(", ")))
            })?
        };
        method.validate().map(|()| method)
    }

    fn named(name: &str) -> Option<Self> {
        let rest = |kind: &str| name.strip_prefix(kind).filter(|rest| rest.is_empty() || rest.starts_with('-'));
        let number = |rest: &str| match rest.strip_prefix('-') {
            None => Some(0),
            Some(n) => n.parse::<usize>().ok().filter(|n| *n > 0),
        };
        Some(if name == "greedy" {
            Self::Greedy
        } else if let Some(rest) = rest("genius") {
            Self::Genius(genius(rest)?)
        } else if let Some(rest) = rest("vote") {
            Self::Vote(Vote { n: number(rest)?, ..Vote::default() })
        } else if let Some(rest) = rest("self-rewarding") {
            Self::SelfRewarding(SelfRewarding { n: number(rest)?, ..SelfRewarding::default() })
        } else if let Some(rest) = rest("star") {
            Self::Star(Star { n: number(rest)?, ..Star::default() })
        } else {
            return None;
        })
    }

    /// A short name. Where [`Method::parse`] reads it back, it gives the same settings; settings that
    /// have no name show as `KIND-custom`.
    pub fn name(&self) -> String {
        let count = |n: usize| if n == 0 { String::new() } else { format!("-{n}") };
        let name = match self {
            Self::Greedy => "greedy".into(),
            Self::Genius(settings) => genius_name(settings),
            Self::Vote(settings) => format!("vote{}", count(settings.n)),
            Self::SelfRewarding(settings) => format!("self-rewarding{}", count(settings.n)),
            Self::Star(settings) => format!("star{}", count(settings.n)),
        };
        if Self::named(&name).as_ref() == Some(self) { name } else { format!("{}-custom", self.kind()) }
    }

    /// The method without its settings, as in JSON.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Genius(_) => "genius",
            Self::Greedy => "greedy",
            Self::Vote(_) => "vote",
            Self::SelfRewarding(_) => "self-rewarding",
            Self::Star(_) => "star",
        }
    }

    /// Checks every setting's range.
    pub fn validate(&self) -> Result<()> {
        let checked = match self {
            Self::Greedy => Ok(()),
            Self::Genius(settings) => settings.validate(),
            Self::Vote(settings) => settings.validate(),
            Self::SelfRewarding(settings) => settings.validate(),
            Self::Star(settings) => settings.validate(),
        };
        checked.map_err(|problem| Error::Setting { strategy: self.kind().into(), problem })
    }

    /// Whether it must be told which answers are right.
    pub fn needs_labels(&self) -> bool {
        matches!(self, Self::Star(_))
    }

    /// Whether it draws as many paths as the budget pays, and so needs one.
    pub fn endless(&self) -> bool {
        match self {
            Self::Genius(_) | Self::Greedy => false,
            Self::Vote(settings) => settings.n == 0,
            Self::SelfRewarding(settings) => settings.n == 0,
            Self::Star(settings) => settings.n == 0,
        }
    }
}

/// What an ending sets.
type Ending = fn(&mut Genius);

/// Genius' endings, in the order in which a name puts them.
const ENDINGS: &[(&str, Ending)] = &[
    ("-released", |genius| genius.released = true),
    ("-no-foresight", |genius| genius.foresight = false),
    ("-greedy", |genius| genius.explore = Explore::Greedy),
];

fn genius(mut rest: &str) -> Option<Genius> {
    let mut genius = Genius::paper();
    while !rest.is_empty() {
        let (after, set) = ENDINGS.iter().find_map(|(ending, set)| Some((rest.strip_prefix(ending)?, set)))?;
        set(&mut genius);
        rest = after;
    }
    Some(genius)
}

fn genius_name(genius: &Genius) -> String {
    let set = [genius.released, !genius.foresight, genius.explore == Explore::Greedy];
    let endings = ENDINGS.iter().zip(set).filter(|(_, set)| *set).map(|((ending, _), _)| *ending);
    std::iter::once("genius").chain(endings).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Strategy;

    #[test]
    fn every_listed_name_reads_back_and_survives_json() {
        let more = ["vote", "self-rewarding", "star", "genius-released-no-foresight-greedy"];
        for name in LIST.iter().map(|(name, _)| *name).chain(more) {
            let method = Method::parse(name).unwrap();
            assert_eq!(method.name(), name);
            let json = serde_json::to_string(&method).unwrap();
            assert_eq!(Method::parse(&json).unwrap(), method);
            let strategy = Strategy::Practice { method };
            let json = serde_json::to_string(&strategy).unwrap();
            assert_eq!(Strategy::parse(&json).unwrap(), strategy);
            assert_eq!(strategy.name(), name);
        }
        let own = Method::parse(r#"{"kind":"genius","beams":3}"#).unwrap();
        assert_eq!((own.name().as_str(), own.kind()), ("genius-custom", "genius"));
    }

    #[test]
    fn what_is_not_known_or_out_of_range_is_refused() {
        for name in [
            "",
            "genious",
            "genius-",
            "genius-x",
            "vote-0",
            "vote-1",
            "self-rewarding-1",
            "star-x",
            r#"{"kind":"greedy","n":1}"#,
            r#"{"kind":"genius","beam":2}"#,
            r#"{"kind":"genius","beams":1,"rollouts":1}"#,
            r#"{"kind":"genius","temperature":0}"#,
            r#"{"kind":"vote","pairs":0}"#,
            r#"{"kind":"practice"}"#,
        ] {
            assert!(Method::parse(name).is_err(), "{name}");
        }
        assert!(Method::parse("genious").unwrap_err().to_string().contains("genius-released"));
        assert!(Strategy::parse("genius").is_err(), "it gives no answer");
        let nested = r#"{"kind":"practice","method":{"kind":"genius","steps":0}}"#;
        assert!(Strategy::parse(nested).unwrap_err().to_string().contains("steps"));
    }
}
