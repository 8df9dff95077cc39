//! What the figures mean, for a reader who teaches.

use super::{Discrepancy, Gaokao, Null};

impl Gaokao {
    /// What it means, in paragraphs of plain words, each with its numbers.
    pub fn meaning(&self) -> Vec<String> {
        let mut text = vec![format!(
            "The question. When a pupil scores high, we trust that the easy questions were answered and the hard ones \
             tried. Does the score of a language model mean the same? {} models answered {} questions ({} answers). \
             Difficulty is {}. Eq. 1 of the paper says that the chance of a mark falls along one S-shaped curve as \
             questions grow harder; its slope is {}.",
            self.persons,
            self.items,
            self.responses,
            self.difficulty,
            if self.free_slope { "fitted to each model" } else { "fixed at 1 a step of difficulty, as published" }
        )];
        text.push(format!(
            "How to read the comparisons. Each figure stands beside two worlds in which there is nothing to find. In the \
             first, the marks of each question are dealt out anew among the models (permuted), so that no model differs \
             from another. In the second, imaginary pupils with the same totals answer questions with the same totals, and \
             a Rasch curve rules: then all tables with these totals are equally likely, and some are drawn. A figure is \
             remarkable only if it lies outside what these worlds give by chance \
             ({} draws of each).",
            self.draws
        ));
        text.extend(self.discrepancies.iter().map(|d| format!("{} {}", says(d), verdict(d))));
        let apart = |flatter: bool| {
            let off = |null: Null, r: f64| null.p < 0.05 && (r > null.mean) == flatter;
            self.consistency.iter().filter(|c| c.simulated.is_some_and(|null| off(null, c.r))).count()
        };
        text.push(format!(
            "Model by model: of {} correlations (subject × model × type) {} are flatter than pupils of the curve would be, at \
             5 %, and {} steeper; about {:.1} of each would be by chance alone. Only a count of flat ones well above that \
             speaks against reading the scores as ability; many of both kinds say that the models do not find the same \
             questions hard.",
            self.consistency.len(),
            apart(true),
            apart(false),
            0.025 * self.consistency.len() as f64
        ));
        text.push(control(&self.discrepancies));
        text.push(
            "What this cannot say. A curve that fits does not prove understanding, and one that does not fit may only mean \
             that people and models find different questions hard: then the stated difficulty is the wrong ruler, not the \
             model a bad pupil. Mode `proper` asks the same question with difficulties that the answers themselves give."
                .into(),
        );
        text
    }
}

fn says(d: &Discrepancy) -> String {
    // Shares are told as per cent, all else with two digits.
    let share = d.name == "inconsistent score rate";
    let number = |x: f64| if share { format!("{:.1} %", 100.0 * x) } else { two(x) };
    let null = |null: Option<Null>| {
        null.map_or("not known".to_string(), |n| {
            format!("{} (95 % between {} and {})", number(n.mean), number(n.low), number(n.high))
        })
    };
    let against = format!("pupils of the curve give {}, permuted marks {}", null(d.simulated), null(d.permuted));
    let observed = two(d.observed);
    match &*d.name {
        "anomalous consistency" => format!(
            "Anomalous consistency. A pupil does worse on harder questions, so difficulty and score rate go against each \
             other. Here their correlation is {observed} on average over {} combinations; {against}.",
            d.n
        ),
        "fit of the curve" => format!(
            "Fit of the curve. R² says how much of the ups and downs of a model's marks the curve explains: 1 all, 0 no more \
             than a flat line, below 0 less than that. Here it is {observed} on average over {} models; {against}. A \
             single answer is right or wrong and never 70 % right, so even a perfect curve stays far below 1.",
            d.n
        ),
        "variance at similar difficulty" => format!(
            "Variance at similar difficulty. Among questions of similar difficulty a model's marks vary by {observed} \
             (standard deviation, mean of {} models); {against}.",
            d.n
        ),
        _ => format!(
            "Inconsistent score rate. {:.1} % of the marks lie more than one standard deviation off the curve (mean of {} \
             models); {against}. The paper's 32 % is no finding by itself: of anything that is normally distributed, 31.7 % \
             lies more than one deviation off by construction.",
            100.0 * d.observed,
            d.n
        ),
    }
}

/// Two digits, with a true minus sign.
fn two(x: f64) -> String {
    format!("{x:.2}").replace('-', "\u{2212}")
}

fn verdict(d: &Discrepancy) -> &'static str {
    let Some(null) = d.simulated else { return "Too few draws gave a figure: no verdict." };
    if !d.controlled() {
        return "The negative control of this measure did not come out null (see below): no verdict.";
    }
    if null.p >= 0.05 {
        return "That is within what pupils would show: no discrepancy.";
    }
    let above = d.observed > null.mean;
    match (&*d.name, above) {
        ("anomalous consistency", true) => {
            "The models are flatter over difficulty than pupils would be: a discrepancy."
        }
        ("anomalous consistency", false) => "The models follow difficulty more strictly than the curve asks.",
        ("fit of the curve", false) => "The curve explains the models worse than pupils: a discrepancy.",
        ("fit of the curve", true) => "The curve explains the models better than chance lets pupils be explained.",
        ("variance at similar difficulty", true) => "That is more than pupils would show: a discrepancy.",
        ("variance at similar difficulty", false) => "That is less than pupils would show.",
        (_, true) => "That is more often than pupils would: a discrepancy.",
        (_, false) => "That is less often than pupils would.",
    }
}

fn control(discrepancies: &[Discrepancy]) -> String {
    let one = |d: &Discrepancy| {
        format!(
            "{}: {} of {} outside the range of permuted marks, {} of {} outside that of the curve (95 % interval of the rate \
             {:.0} to {:.0} %)",
            d.name,
            d.control_permuted,
            d.controls,
            d.control_simulated,
            d.controls,
            100.0 * d.control_interval.0,
            100.0 * d.control_interval.1
        )
    };
    let all: Vec<String> = discrepancies.iter().map(one).collect();
    let failed: Vec<&str> = discrepancies.iter().filter(|d| !d.controlled()).map(|d| d.name.as_str()).collect();
    let end = match failed.as_slice() {
        [] => "The control comes out null, as it must.".into(),
        failed => format!(
            "It does NOT come out null for {}, of which nothing is concluded: with few persons a difficulty that is taken \
             from their own marks follows them.",
            failed.join(" and ")
        ),
    };
    format!(
        "Negative control. The whole analysis was run on {} tables whose marks had been permuted, where nothing can be found; \
         about one in twenty should be called remarkable. {}. {end}",
        discrepancies.first().map_or(0, |d| d.controls),
        all.join("; "),
    )
}

impl Discrepancy {
    /// Whether permuted marks, where nothing can be found, were called remarkable about as often as chance has it.
    pub fn controlled(&self) -> bool {
        self.control_interval.0 <= 0.05 && self.control_permuted <= self.controls / 4
    }
}
