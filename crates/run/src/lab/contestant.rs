use serde::{Deserialize, Serialize};

/// What a strategy may spend on a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Spend {
    /// Whatever its settings lead to.
    Own,
    /// At most the tokens that φ spent on the same problem.
    Equal,
}

/// A strategy in the table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Contestant {
    /// Its name, as `Strategy::parse` reads it.
    pub strategy: String,
    /// What it may spend.
    pub spend: Spend,
}

impl Contestant {
    fn new(strategy: &str, spend: Spend) -> Self {
        Self { strategy: strategy.into(), spend }
    }

    /// The contestant of a name as [`Contestant::name`] gives it.
    pub fn named(name: &str) -> Self {
        match name.strip_suffix("-equal") {
            Some(strategy) => Self::new(strategy, Spend::Equal),
            None => Self::new(name, Spend::Own),
        }
    }

    /// Name in the table and of its folder.
    pub fn name(&self) -> String {
        match self.spend {
            Spend::Own => self.strategy.clone(),
            Spend::Equal => format!("{}-equal", self.strategy),
        }
    }
}

/// Whose tokens the others may spend.
pub const MEASURE: &str = "phi";

/// The strategies of the lab's table; the measure comes first. Those that can go on as long as there
/// are tokens (n = 0) get what φ spent.
pub fn contestants() -> Vec<Contestant> {
    use Spend::{Equal, Own};
    [
        (MEASURE, Own),
        ("greedy", Own),
        ("sampling", Own),
        ("self-consistency", Equal),
        ("best-of", Equal),
        ("beam-4", Equal),
        ("tree-of-thoughts", Equal),
        ("mcts", Equal),
        ("predictive", Equal),
        ("predictive", Own),
        ("phi-released", Own),
        ("phi-no-foresight", Own),
        ("phi-no-cluster", Own),
        ("phi-no-pruning", Own),
        ("phi-no-width-pruning", Own),
        ("phi-no-depth-pruning", Own),
    ]
    .map(|(strategy, spend)| Contestant::new(strategy, spend))
    .into()
}

/// The few that are worth a real model's time.
pub fn few() -> Vec<Contestant> {
    use Spend::{Equal, Own};
    [(MEASURE, Own), ("greedy", Own), ("self-consistency", Equal)].map(|(s, b)| Contestant::new(s, b)).into()
}

/// What a paper says, as a difference of two contestants.
pub struct Assertion {
    /// In words.
    pub says: &'static str,
    /// Who should be better.
    pub better: &'static str,
    /// Than whom.
    pub than: &'static str,
    /// The first is said to be as good with fewer tokens, and not better.
    pub saves: bool,
}

/// The claims of φ-Decoding that the table can hold against the truth, and the comparison that the
/// paper leaves out (self-consistency at equal tokens).
pub const ASSERTIONS: &[Assertion] = &[
    claim("φ is better than predictive decoding, at equal tokens", "phi", "predictive-equal"),
    claim("φ is better than predictive decoding, each at its own cost", "phi", "predictive"),
    claim("foresight helps: φ is better than φ without it", "phi", "phi-no-foresight"),
    claim("clustering helps: φ is better than φ without it", "phi", "phi-no-cluster"),
    Assertion { says: "pruning saves tokens at equal accuracy", better: "phi", than: "phi-no-pruning", saves: true },
    Assertion {
        says: "in-width pruning saves tokens at equal accuracy",
        better: "phi",
        than: "phi-no-width-pruning",
        saves: true,
    },
    Assertion {
        says: "in-depth pruning saves tokens at equal accuracy",
        better: "phi",
        than: "phi-no-depth-pruning",
        saves: true,
    },
    claim("φ is better than tree of thoughts, at equal tokens", "phi", "tree-of-thoughts-equal"),
    claim("φ is better than MCTS, at equal tokens", "phi", "mcts-equal"),
    claim("φ is better than self-consistency, at equal tokens", "phi", "self-consistency-equal"),
    claim("φ is better than best-of-N by likelihood, at equal tokens", "phi", "best-of-equal"),
    claim("φ is better than beam search, at equal tokens", "phi", "beam-4-equal"),
    claim("φ is better than greedy decoding, which costs far less", "phi", "greedy"),
    claim("the released settings are better than the paper's", "phi-released", "phi"),
];

const fn claim(says: &'static str, better: &'static str, than: &'static str) -> Assertion {
    Assertion { says, better, than, saves: false }
}
