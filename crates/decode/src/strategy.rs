use serde::{Deserialize, Deserializer, Serialize};

use crate::beam::Beam;
use crate::best_of::BestOf;
use crate::mcts::Mcts;
use crate::phi::{Clustering, Phi};
use crate::practice::Method;
use crate::predictive::Predictive;
use crate::sampling::Sampling;
use crate::self_consistency::SelfConsistency;
use crate::tree_of_thoughts::TreeOfThoughts;
use crate::{Error, Result};

/// How an answer is searched for. Every setting has a default: `{"kind": "phi"}` is enough.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Strategy {
    /// The most probable token, always.
    #[serde(deserialize_with = "nothing")]
    Greedy,
    /// One path, drawn.
    Sampling(Sampling),
    /// Many paths, drawn; the answer that most agree on.
    SelfConsistency(SelfConsistency),
    /// Many paths, drawn; the best one.
    BestOf(BestOf),
    /// The most probable paths, step by step.
    Beam(Beam),
    /// The paths that the model itself thinks most of, step by step.
    TreeOfThoughts(TreeOfThoughts),
    /// Steps by how probable what follows them is.
    Predictive(Predictive),
    /// A tree grown where reward was found.
    Mcts(Mcts),
    /// Steps by how much better what follows them became, and by how many agree on it.
    Phi(Phi),
    /// What gives preferences instead of an answer: it stands in the records of [`practise`], and
    /// nothing is searched for with it.
    ///
    /// [`practise`]: crate::practice::practise
    Practice {
        /// How preferences are found.
        method: Method,
    },
}

/// Refuses settings for a strategy that has none.
fn nothing<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<(), D::Error> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Nothing {}
    Nothing::deserialize(deserializer).map(|Nothing {}| ())
}

/// What can be asked for by name, and what it does.
const LIST: &[(&str, &str)] = &[
    ("greedy", "the most probable token, always; one path"),
    ("sampling", "one path, drawn at temperature 0.8"),
    ("self-consistency-8", "8 drawn paths, the answer most of them give; any number, none: as many as the budget pays"),
    ("best-of-8", "8 drawn paths, the one with the best mean log-probability; any number, none: as the budget pays"),
    ("best-of-8-vote", "8 drawn paths, the most probable one that gives the majority's answer"),
    ("best-of-8-scorer", "8 drawn paths, the one that a given scorer likes best"),
    ("beam-4", "beam search over steps, 4 beams of 4 drawn steps; any number of beams"),
    ("tree-of-thoughts", "breadth-first over steps, valued by asking the model itself"),
    ("predictive", "foresight only: a step is drawn by how probable its continuation is"),
    ("mcts", "Monte Carlo tree search over steps (as RAP does it), reward from log-probabilities"),
    ("mcts-self", "the same, reward from the model's own judgement"),
    ("mcts-both", "the same, reward from both"),
    ("phi", "φ-Decoding as the paper has it: foresight, clusters, pruning in width and depth"),
    ("phi-released", "φ-Decoding with the settings of the authors' code, its mistakes mended"),
    ("phi-no-foresight", "φ-Decoding that values steps by themselves"),
    ("phi-no-cluster", "φ-Decoding by advantage alone"),
    ("phi-encoder", "φ-Decoding with clusters by an encoder's vectors"),
    ("phi-no-width-pruning", "φ-Decoding that looks ahead from every step"),
    ("phi-no-depth-pruning", "φ-Decoding that never stops looking ahead early"),
    ("phi-no-pruning", "φ-Decoding without either pruning"),
];

impl Strategy {
    /// Names for [`Strategy::parse`], each with a line that says what it does.
    pub fn list() -> Vec<(String, String)> {
        LIST.iter().map(|(name, what)| (name.to_string(), what.to_string())).collect()
    }

    /// The names alone.
    pub(crate) fn names() -> Vec<&'static str> {
        LIST.iter().map(|(name, _)| *name).collect()
    }

    /// Reads a name as in [`Strategy::list`] (numbers free, φ's endings in any combination), or
    /// JSON as `{"kind": "phi", "beams": 2}`.
    pub fn parse(name: &str) -> Result<Self> {
        let unknown = || Error::Unknown { name: name.into() };
        if name.trim_start().starts_with('{') {
            let strategy: Self = serde_json::from_str(name)
                .map_err(|e| Error::Setting { strategy: name.into(), problem: e.to_string() })?;
            strategy.validate()?;
            return Ok(strategy);
        }
        let rest = |kind: &str| name.strip_prefix(kind).filter(|rest| rest.is_empty() || rest.starts_with('-'));
        let number = |text: &str| text.strip_prefix('-').and_then(|n| n.parse::<usize>().ok());
        let strategy = if name == "greedy" {
            Self::Greedy
        } else if name == "sampling" {
            Self::Sampling(Sampling::default())
        } else if let Some(rest) = rest("self-consistency") {
            let n = if rest.is_empty() { 0 } else { number(rest).ok_or_else(unknown)? };
            Self::SelfConsistency(SelfConsistency { n, ..SelfConsistency::default() })
        } else if let Some(rest) = rest("best-of") {
            let (rest, by) = BestOf::ending(rest);
            let n = if rest.is_empty() { 0 } else { number(rest).ok_or_else(unknown)? };
            Self::BestOf(BestOf { n, by, ..BestOf::default() })
        } else if let Some(rest) = rest("beam") {
            let width = if rest.is_empty() { Beam::default().width } else { number(rest).ok_or_else(unknown)? };
            Self::Beam(Beam { width, ..Beam::default() })
        } else if name == "tree-of-thoughts" {
            Self::TreeOfThoughts(TreeOfThoughts::default())
        } else if name == "predictive" {
            Self::Predictive(Predictive::default())
        } else if let Some(rest) = rest("mcts") {
            Self::Mcts(Mcts::named(rest).ok_or_else(unknown)?)
        } else if let Some(rest) = rest("phi") {
            Self::Phi(phi(rest).ok_or_else(unknown)?)
        } else {
            return Err(unknown());
        };
        strategy.validate().map(|()| strategy)
    }

    /// A short name. Where [`Strategy::parse`] reads it back, it gives the same settings; settings
    /// that have no name show as `KIND-custom`.
    pub fn name(&self) -> String {
        let (kind, name) = match self {
            Self::Greedy => return "greedy".into(),
            Self::Sampling(_) => ("sampling", "sampling".to_string()),
            Self::SelfConsistency(s) => ("self-consistency", format!("self-consistency{}", count(s.n))),
            Self::BestOf(s) => ("best-of", format!("best-of{}{}", count(s.n), s.by.ending())),
            Self::Beam(s) => ("beam", format!("beam-{}", s.width)),
            Self::TreeOfThoughts(_) => ("tree-of-thoughts", "tree-of-thoughts".into()),
            Self::Predictive(_) => ("predictive", "predictive".into()),
            Self::Mcts(s) => ("mcts", format!("mcts{}", s.reward.ending())),
            Self::Phi(s) => ("phi", phi_name(s)),
            Self::Practice { method } => return method.name(),
        };
        match Self::parse(&name) {
            Ok(same) if same == *self => name,
            _ => format!("{kind}-custom"),
        }
    }

    /// Checks every setting's range.
    pub fn validate(&self) -> Result<()> {
        let checked = match self {
            Self::Greedy => Ok(()),
            Self::Sampling(s) => s.validate(),
            Self::SelfConsistency(s) => s.validate(),
            Self::BestOf(s) => s.validate(),
            Self::Beam(s) => s.validate(),
            Self::TreeOfThoughts(s) => s.validate(),
            Self::Predictive(s) => s.validate(),
            Self::Mcts(s) => s.validate(),
            Self::Phi(s) => s.validate(),
            Self::Practice { method } => return method.validate(),
        };
        checked.map_err(|problem| Error::Setting { strategy: self.kind().into(), problem })
    }

    /// The strategy without its settings, as in JSON.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Greedy => "greedy",
            Self::Sampling(_) => "sampling",
            Self::SelfConsistency(_) => "self-consistency",
            Self::BestOf(_) => "best-of",
            Self::Beam(_) => "beam",
            Self::TreeOfThoughts(_) => "tree-of-thoughts",
            Self::Predictive(_) => "predictive",
            Self::Mcts(_) => "mcts",
            Self::Phi(_) => "phi",
            Self::Practice { .. } => "practice",
        }
    }
}

fn count(n: usize) -> String {
    if n == 0 { String::new() } else { format!("-{n}") }
}

/// What an ending sets.
type Ending = fn(&mut Phi);

/// φ's endings, in the order in which a name puts them.
const ENDINGS: &[(&str, Ending)] = &[
    ("-no-foresight", |phi| phi.foresight = false),
    ("-no-cluster", |phi| phi.clustering = Clustering::Off),
    ("-encoder", |phi| phi.clustering = Clustering::Encoder),
    ("-no-width-pruning", |phi| phi.width_pruning = false),
    ("-no-depth-pruning", |phi| phi.depth_pruning = false),
    ("-no-pruning", |phi| (phi.width_pruning, phi.depth_pruning) = (false, false)),
];

fn phi(mut rest: &str) -> Option<Phi> {
    let mut phi = Phi::paper();
    if let Some(after) = rest.strip_prefix("-released") {
        (phi, rest) = (Phi::released(), after);
    }
    while !rest.is_empty() {
        let (after, set) = ENDINGS.iter().find_map(|(ending, set)| Some((rest.strip_prefix(ending)?, set)))?;
        set(&mut phi);
        rest = after;
    }
    Some(phi)
}

fn phi_name(phi: &Phi) -> String {
    let plain =
        Phi { foresight: true, clustering: Clustering::TfIdf, width_pruning: true, depth_pruning: true, ..*phi };
    let mut name = if plain == Phi::released() { "phi-released" } else { "phi" }.to_string();
    let mut add = |wanted: bool, ending: &str| name.push_str(if wanted { ending } else { "" });
    add(!phi.foresight, "-no-foresight");
    add(phi.clustering == Clustering::Off, "-no-cluster");
    add(phi.clustering == Clustering::Encoder, "-encoder");
    match (phi.width_pruning, phi.depth_pruning) {
        (false, false) => add(true, "-no-pruning"),
        (width, depth) => {
            add(!width, "-no-width-pruning");
            add(!depth, "-no-depth-pruning");
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_name_reads_back_and_survives_json() {
        for (name, what) in Strategy::list() {
            let strategy = Strategy::parse(&name).expect(&name);
            assert_eq!(strategy.name(), name);
            assert!(!what.is_empty());
            let json = serde_json::to_string(&strategy).expect("json");
            assert_eq!(Strategy::parse(&json).expect(&json), strategy);
        }
        for (name, same) in [("phi-no-cluster-no-pruning", true), ("self-consistency", true), ("best-of", true)] {
            assert_eq!(Strategy::parse(name).expect(name).name() == name, same);
        }
        assert_eq!(
            Strategy::parse("phi-released-no-depth-pruning").expect("phi").name(),
            "phi-released-no-depth-pruning"
        );
    }

    #[test]
    fn what_is_not_known_is_refused_with_the_names() {
        for name in ["", "phy", "phi-", "phi-no", "beam-x", "beam-0", "greedy-2", "best-of-4-luck", "mcts-4"] {
            assert!(Strategy::parse(name).is_err(), "{name}");
        }
        assert!(Strategy::parse("phy").expect_err("unknown").to_string().contains("phi-released"));
        for json in [
            r#"{"kind":"greedy","n":1}"#,
            r#"{"kind":"phi","beam":2}"#,
            r#"{"kind":"phi","beams":0}"#,
            r#"{"kind":"phi","stop_share":2.0}"#,
            r#"{"kind":"x"}"#,
            "{",
        ] {
            assert!(Strategy::parse(json).is_err(), "{json}");
        }
    }

    #[test]
    fn own_settings_are_called_so() {
        let own = Strategy::parse(r#"{"kind":"phi","beams":2}"#).expect("own");
        assert_eq!(own.name(), "phi-custom");
        assert!(matches!(own, Strategy::Phi(phi) if phi == Phi { beams: 2, ..Phi::paper() }));
    }
}
