//! Where randomness comes from: (seed, stage, record id), and nothing else.

use sha2::{Digest, Sha256};

/// A 64-bit seed for one record of one stage. The same triple gives the same seed on every machine,
/// whatever the order, the batch or the worker.
pub fn derive(seed: u64, stage: &str, record: &str) -> u64 {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    hash.update((stage.len() as u64).to_le_bytes());
    hash.update(stage.as_bytes());
    hash.update(record.as_bytes());
    let digest = hash.finalize();
    let mut first = [0u8; 8];
    first.copy_from_slice(&digest[..8]);
    u64::from_le_bytes(first)
}

#[cfg(test)]
mod tests {
    use super::derive;

    #[test]
    fn every_part_of_the_triple_counts() {
        let base = derive(1, "synth", "a");
        assert_eq!(base, derive(1, "synth", "a"));
        for other in [derive(2, "synth", "a"), derive(1, "exam", "a"), derive(1, "synth", "b"), derive(1, "syntha", "")]
        {
            assert_ne!(base, other);
        }
    }
}
