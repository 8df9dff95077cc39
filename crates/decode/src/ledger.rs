/// Fewest tokens with which a completion is worth beginning, unless fewer are all it may have.
const LEAST: usize = 8;

/// The budget of decode tokens: what a call may use at most is taken out before it, and what it did
/// not use comes back after it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ledger {
    left: Option<u64>,
}

impl Ledger {
    pub fn new(budget: Option<u64>) -> Self {
        Self { left: budget }
    }

    /// Tokens that are left; none for no limit.
    pub fn left(&self) -> Option<u64> {
        self.left
    }

    /// The largest cap c with Σ n·min(limit, c) ≤ what is left beyond `keep`, over (n, limit) of
    /// calls that run at once; none if it is too low to begin. No limit caps at the longest call.
    pub fn cap(&self, calls: &[(usize, usize)], keep: u64) -> Option<usize> {
        let longest = calls.iter().map(|(_, limit)| *limit).max()?;
        let Some(left) = self.left else { return Some(longest) };
        let left = left.saturating_sub(keep);
        let cost = |cap: usize| calls.iter().map(|(n, limit)| *n as u64 * (*limit).min(cap) as u64).sum::<u64>();
        let (mut low, mut high) = (0, longest);
        while low < high {
            let middle = low + (high - low).div_ceil(2);
            if cost(middle) <= left { low = middle } else { high = middle - 1 }
        }
        (low >= LEAST.min(longest)).then_some(low)
    }

    /// Takes tokens out before they are used.
    pub fn reserve(&mut self, tokens: u64) {
        self.left = self.left.map(|left| left.saturating_sub(tokens));
    }

    /// Gives back what was reserved and not used.
    pub fn give_back(&mut self, reserved: u64, used: u64) {
        self.left = self.left.map(|left| left + reserved.saturating_sub(used));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cap_shares_what_is_left_and_short_calls_leave_more_to_long_ones() {
        let ledger = Ledger::new(Some(100));
        assert_eq!(ledger.cap(&[(4, 50)], 0), Some(25));
        assert_eq!(ledger.cap(&[(4, 50)], 40), Some(15));
        assert_eq!(ledger.cap(&[(2, 10), (2, 90)], 0), Some(40));
        assert_eq!(ledger.cap(&[(1, 20)], 0), Some(20));
        assert_eq!(ledger.cap(&[(16, 50)], 0), None, "6 tokens each are too few to begin");
        assert_eq!(ledger.cap(&[(16, 4)], 0), Some(4), "unless fewer are all it may have");
        assert_eq!(ledger.cap(&[], 0), None);
        assert_eq!(Ledger::new(None).cap(&[(1000, 500), (1, 7)], 0), Some(500));
    }

    #[test]
    fn what_is_not_used_comes_back() {
        let mut ledger = Ledger::new(Some(100));
        ledger.reserve(80);
        assert_eq!(ledger.left(), Some(20));
        ledger.give_back(80, 30);
        assert_eq!(ledger.left(), Some(70));
    }
}
