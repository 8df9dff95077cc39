use serde::{Deserialize, Serialize};

use super::{AnswerScores, PairLoss};

/// Supervised fine-tuning on the chosen answers: ℓ = −log π(y_w | x). A batch's mean is over tokens,
/// as in [`crate::sft`], so that long answers weigh as much as their length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sft {}

impl Sft {
    pub(super) fn of(&self, chosen: &AnswerScores) -> PairLoss {
        PairLoss { loss: -chosen.policy, d_chosen: -1.0, d_rejected: 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Loss, check};
    use super::Sft;

    #[test]
    fn gradients_match_differences() {
        check::gradient(&Loss::Sft(Sft::default()));
        check::extremes(&Loss::Sft(Sft::default()));
    }
}
