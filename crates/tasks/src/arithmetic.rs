use std::fmt;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// An operation on whole numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Add,
    Subtract,
    Multiply,
}

impl Operation {
    /// Its value; the generators see to it that it is never negative.
    pub(crate) fn of(self, left: u32, right: u32) -> u32 {
        match self {
            Self::Add => left + right,
            Self::Subtract => left - right,
            Self::Multiply => left * right,
        }
    }

    /// An operation and its right-hand side that take `left` to a value in `0..=limit`. Summands are
    /// 1 to `largest`, factors 2 to 9. Each operation that is possible is as likely as the others.
    pub(crate) fn draw(left: u32, largest: u32, limit: u32, random: &mut ChaCha8Rng) -> (Self, u32) {
        let most = [
            (Self::Add, 1, largest.min(limit.saturating_sub(left))),
            (Self::Subtract, 1, largest.min(left)),
            (Self::Multiply, 2, 9.min(limit.checked_div(left).unwrap_or(0))),
        ];
        let possible: Vec<_> = most.into_iter().filter(|&(_, least, most)| most >= least).collect();
        let (operation, least, most) = possible[random.random_range(0..possible.len())];
        (operation, random.random_range(least..=most))
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn a_drawn_operation_stays_within_its_limit_and_all_three_occur() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let mut seen = [0; 3];
        for left in (0..=50).cycle().take(2_000) {
            let (operation, right) = Operation::draw(left, 9, 50, &mut random);
            assert!(right >= 1 && (operation != Operation::Subtract || right <= left));
            assert!(operation.of(left, right) <= 50);
            seen[operation as usize] += 1;
        }
        assert!(seen.iter().all(|&count| count > 300), "{seen:?}");
    }
}
