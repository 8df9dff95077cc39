use decode::practice::Method;
use learn::Loss;

use crate::{Error, Result};

/// A way of learning in the table: how preferences are sampled, and what is made small over them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Contestant {
    /// How preferences are sampled. One that draws as many paths as it pays for may spend on each
    /// question what the measure spent there.
    pub method: Method,
    /// What is made small.
    pub loss: Loss,
}

/// Whose tokens the others may spend, in sampling and in training.
pub(crate) const MEASURE: &str = "genius+aco";

/// The table, the most important lines first: Genius, its loss ablation on the same pairs, the
/// rivals, its sampling ablation with its own loss, the authors' code.
pub(crate) const TABLE: [&str; 14] = [
    MEASURE,
    "genius+dpo",
    "genius+sft",
    "greedy+sft",
    "star+sft",
    "genius+ropo",
    "genius+ipo",
    "genius+simpo",
    "vote+dpo",
    "genius-no-foresight+aco",
    "genius-greedy+aco",
    "self-rewarding+dpo",
    "genius+aco-released",
    "genius-released+aco",
];

/// One contestant a loss, on the same pairs: whose rates are chosen.
pub(crate) const LOSSES: [&str; 6] = [MEASURE, "genius+dpo", "genius+sft", "genius+ropo", "genius+ipo", "genius+simpo"];

impl Contestant {
    /// The contestant of a name as [`Contestant::name`] gives it.
    pub fn named(name: &str) -> Result<Self> {
        let Some((method, loss)) = name.rsplit_once('+') else {
            return Err(Error::Nothing {
                problem: format!("{name:?} is no way of learning"),
                hint: "write METHOD+LOSS, as genius+aco or vote+dpo".into(),
            });
        };
        Ok(Self { method: Method::parse(method)?, loss: Loss::parse(loss)? })
    }

    /// Name in the table and of its folder.
    pub fn name(&self) -> String {
        format!("{}+{}", self.method.name(), self.loss.name())
    }
}

/// Contestants of these names; the measure first, and there in any case.
pub(crate) fn chosen<T: AsRef<str>>(names: &[T]) -> Result<Vec<Contestant>> {
    let mut chosen = names.iter().map(|name| Contestant::named(name.as_ref())).collect::<Result<Vec<_>>>()?;
    if !chosen.iter().any(|contestant| contestant.name() == MEASURE) {
        chosen.push(Contestant::named(MEASURE)?);
    }
    // What it spends must be known before others spend the same.
    chosen.sort_by_key(|contestant| contestant.name() != MEASURE);
    Ok(chosen)
}

/// The model before practice, as a contestant of claims.
pub(crate) const BASE: &str = "base";

/// What the paper says, as a better and a worse contestant.
pub(crate) const ASSERTIONS: [(&str, &str, &str); 16] = [
    ("Genius is better than the model before it", MEASURE, BASE),
    ("ACO is better than DPO, on the same pairs", MEASURE, "genius+dpo"),
    ("DPO is better than ROPO, on the same pairs", "genius+dpo", "genius+ropo"),
    ("ROPO is better than IPO, on the same pairs", "genius+ropo", "genius+ipo"),
    ("IPO is better than SimPO, on the same pairs", "genius+ipo", "genius+simpo"),
    ("SimPO is better than SFT, on the same pairs", "genius+simpo", "genius+sft"),
    ("ACO is better than SFT, on the same pairs", MEASURE, "genius+sft"),
    ("foresight helps: Genius is better than Genius without it", MEASURE, "genius-no-foresight+aco"),
    ("drawing the beams is better than taking the best ones", MEASURE, "genius-greedy+aco"),
    ("Genius is better than SFT on the model's own greedy answers", MEASURE, "greedy+sft"),
    ("Genius is better than Self-Rewarding, at equal tokens", MEASURE, "self-rewarding+dpo"),
    ("Genius is better than majority vote with DPO, at equal tokens", MEASURE, "vote+dpo"),
    ("Genius is better than STaR, which sees labels, at equal tokens", MEASURE, "star+sft"),
    ("labels are better than none: STaR is better than the model before it", "star+sft", BASE),
    ("the paper's loss is better than that of the authors' code", MEASURE, "genius+aco-released"),
    ("the paper's sampling is better than that of the authors' code", MEASURE, "genius-released+aco"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back_and_every_claim_has_its_lines() {
        for name in TABLE.iter().chain(&LOSSES) {
            assert_eq!(Contestant::named(name).expect("known").name(), *name);
        }
        for (says, better, than) in ASSERTIONS {
            let known = |name| name == BASE || TABLE.contains(&name);
            assert!(known(better) && known(than), "{says}");
        }
        assert!(Contestant::named("genius").is_err() && Contestant::named("genius+nothing").is_err());
    }

    #[test]
    fn the_measure_comes_first_and_never_lacks() {
        let names = |chosen: Vec<Contestant>| chosen.iter().map(Contestant::name).collect::<Vec<_>>();
        assert_eq!(names(chosen(&["vote+dpo", MEASURE]).expect("known")), [MEASURE, "vote+dpo"]);
        assert_eq!(names(chosen(&["vote+dpo"]).expect("known")), [MEASURE, "vote+dpo"]);
    }
}
