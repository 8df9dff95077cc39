use scaling::baselines::{ErrorLaw, LossLaw};

use crate::Published;

/// α, β, b, E of C4's loss, then k, γ, ε of the mean error, by training distribution.
const NOTE: [(&str, [f64; 4], [f64; 3]); 3] = [
    ("c4", [113.69, 189.52, -0.2425, 1.5083], [1.2885, 0.9722, 0.7589]),
    ("rpj", [166.21, 366.69, -0.2729, 1.8366], [1.3229, 0.8907, 0.7608]),
    ("rw", [125.10, 246.21, -0.2544, 1.7345], [1.1281, 0.8215, 0.7677]),
];

#[test]
fn laws_of_loss_and_error_to_the_digits_of_the_note() {
    let published = Published::read();
    let c4 = published.c4();
    for (data, of_loss, of_error) in NOTE {
        let own = |m: &usize| published.data[*m] == data;
        // 11M, 79M, 154M, 411M at multiplier 1 (20 tokens a parameter), and 11M at 16.
        let small = |m: &usize| {
            let (n, times) = (published.n[*m], (published.d[*m] / published.n[*m] / 5.0).round() / 4.0);
            times == 1.0 && n < 5e8 || times == 16.0 && n < 2e7
        };
        let next = |m: &usize| {
            (published.d[*m] / published.n[*m] / 5.0).round() / 4.0 == 1.0 && (1e9..2e9).contains(&published.n[*m])
        };
        let first: Vec<usize> = (0..104).filter(own).filter(small).collect();
        assert_eq!(first.len(), 5);
        let pick = |some: &[usize], of: &[f64]| -> Vec<f64> { some.iter().map(|&m| of[m]).collect() };
        let law =
            LossLaw::fit(&pick(&first, &published.n), &pick(&first, &published.d), &pick(&first, &c4)).expect("fits");
        let got = [law.alpha, law.beta, law.exponent, law.limit];
        for (k, (got, note)) in got.iter().zip(of_loss).enumerate() {
            let digit = if k < 2 { 0.01 } else { 1e-4 };
            assert!((got - note).abs() < 0.55 * digit, "{data}: {law:?}, the note says {of_loss:?}");
        }
        let with_next: Vec<usize> = (0..104).filter(own).filter(|m| small(m) || next(m)).collect();
        assert_eq!(with_next.len(), 6);
        let error = |m: usize| 1.0 - published.tasks.iter().map(|t| t.accuracy[m]).sum::<f64>() / 46.0;
        let errors: Vec<f64> = with_next.iter().map(|&m| error(m)).collect();
        let law = ErrorLaw::fit(&pick(&with_next, &c4), &errors).expect("fits");
        for (got, note) in [law.k, law.gamma, law.epsilon].iter().zip(of_error) {
            assert!((got - note).abs() < 0.55e-4, "{data}: {law:?}, the note says {of_error:?}");
        }
    }
}
