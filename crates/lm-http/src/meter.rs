//! What was spent, and whether there is anything left to spend.

use std::sync::Mutex;

use lm::{Error, Result, Usage};
use serde::Serialize;

use crate::{Budget, Price};

/// What a model has cost so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Spent {
    /// HTTP requests that were sent, failed ones and probes included.
    pub attempts: u64,
    /// Requests that were answered by the server.
    pub answers: u64,
    /// Requests that were answered out of the request cache, for free.
    pub from_cache: u64,
    /// Tokens of the server's answers, as it counts them.
    pub usage: Usage,
    /// US dollars, 0 without a price.
    pub usd: f64,
}

/// Counts, and stops what would go over the budget.
pub(crate) struct Meter {
    budget: Budget,
    price: Option<Price>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    spent: Spent,
    /// What requests under way may cost at most.
    reserved: Usage,
}

impl Price {
    /// US dollars of so many tokens.
    pub fn cost(&self, usage: &Usage) -> f64 {
        let parts = [(usage.prefill, self.input), (usage.cached, self.cached), (usage.decode, self.output)];
        parts.iter().map(|(tokens, price)| *tokens as f64 * price / 1e6).sum()
    }
}

/// A claim on the budget while a request is under way; given back when it is dropped.
pub(crate) struct Claim<'a> {
    meter: &'a Meter,
    usage: Usage,
}

impl Meter {
    pub(crate) fn new(budget: Budget, price: Option<Price>) -> Self {
        Self { budget, price, state: Mutex::default() }
    }

    /// Lays aside what a request may cost at most, or says that the budget does not reach.
    pub(crate) fn claim(&self, usage: Usage) -> Result<Claim<'_>> {
        let mut state = self.lock();
        let mut all = state.spent.usage;
        all += state.reserved;
        all += usage;
        if let Some(limit) = self.budget.tokens.filter(|limit| all.total() > *limit) {
            let spent = state.spent.usage.total();
            return Err(Error::Budget(format!(
                "{spent} of {limit} tokens are spent and the next request may need more"
            )));
        }
        if let (Some(limit), Some(price)) = (self.budget.usd, self.price)
            && price.cost(&all) > limit
        {
            let spent = state.spent.usd;
            return Err(Error::Budget(format!(
                "{spent:.4} of {limit} USD are spent and the next request may need more"
            )));
        }
        state.reserved += usage;
        Ok(Claim { meter: self, usage })
    }

    pub(crate) fn attempt(&self) {
        self.lock().spent.attempts += 1;
    }

    pub(crate) fn found(&self) {
        self.lock().spent.from_cache += 1;
    }

    /// Books an answer.
    pub(crate) fn book(&self, usage: Usage) {
        let mut state = self.lock();
        state.spent.answers += 1;
        state.spent.usage += usage;
        state.spent.usd += self.price.map_or(0.0, |price| price.cost(&usage));
    }

    pub(crate) fn spent(&self) -> Spent {
        self.lock().spent
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // Counters are whole after every statement, so a panic elsewhere spoils nothing.
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let reserved = &mut self.meter.lock().reserved;
        reserved.prefill -= self.usage.prefill;
        reserved.cached -= self.usage.cached;
        reserved.decode -= self.usage.decode;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(prefill: u64, decode: u64) -> Usage {
        Usage { prefill, cached: 0, decode }
    }

    #[test]
    fn claims_are_laid_aside_and_given_back() {
        let meter = Meter::new(Budget { tokens: Some(100), usd: None }, None);
        let first = meter.claim(tokens(40, 20)).expect("first");
        assert!(matches!(meter.claim(tokens(40, 20)), Err(Error::Budget(_))));
        drop(first);
        let second = meter.claim(tokens(40, 20)).expect("second");
        meter.book(tokens(30, 5));
        drop(second);
        assert!(meter.claim(tokens(60, 5)).is_ok());
        assert!(meter.claim(tokens(60, 6)).is_err());
    }

    #[test]
    fn dollars_follow_the_price() {
        let price = Price { input: 1.0, cached: 0.1, output: 10.0 };
        let meter = Meter::new(Budget { tokens: None, usd: Some(0.01) }, Some(price));
        meter.book(Usage { prefill: 1000, cached: 1000, decode: 700 });
        assert!((meter.spent().usd - 0.0081).abs() < 1e-12, "{}", meter.spent().usd);
        assert!(meter.claim(tokens(0, 190)).is_ok());
        assert!(matches!(meter.claim(tokens(0, 200)), Err(Error::Budget(_))));
    }
}
