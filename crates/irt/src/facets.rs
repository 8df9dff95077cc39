//! Many-facet Rasch measurement (Linacre 1989): items, raters, occasions on one scale.
//!
//! P(k) ∝ exp Σ_{v≤k} (θ − Σ_f δ_{f,e} − τ_v), Σ τ = 0, every facet centred on 0, θ ~ N(μ, σ²). Fitted by
//! marginal maximum likelihood: persons are integrated out, so that many raters with few marks each do
//! not bias each other through persons, and 10⁵ persons cost no memory but their responses.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::significance::normal_two_sided;
use crate::{Error, Quadrature, Result};

/// One mark.
#[derive(Debug, Clone, PartialEq)]
pub struct Mark {
    /// Who was marked.
    pub person: u32,
    /// The element of each facet: which item, which rater, which occasion.
    pub elements: Vec<u32>,
    /// From 0.
    pub score: u8,
}

/// An element of a facet.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Element {
    /// δ: difficulty or severity, in logits; higher gives lower scores.
    pub severity: f64,
    /// Standard error, other elements being known; infinite for elements without marks.
    pub error: f64,
    /// Mean square of standardised residuals, weighted by variance; 1 is expected.
    pub infit: f64,
    /// Unweighted.
    pub outfit: f64,
    /// Score that a person of mean ability would get here, all other facets at their mean.
    pub fair: f64,
    /// Marks that it rests on.
    pub n: usize,
}

/// A fitted design.
#[derive(Debug, Clone, PartialEq)]
pub struct Facets {
    /// Elements, facet by facet.
    pub facets: Vec<Vec<Element>>,
    /// τ, one a step.
    pub thresholds: Vec<f64>,
    /// Mean of ability.
    pub mean: f64,
    /// Standard deviation of ability.
    pub deviation: f64,
    /// Posterior mean and deviation of each person.
    pub persons: Vec<(f64, f64)>,
    /// Marginal log-likelihood.
    pub log_likelihood: f64,
    /// Steps of EM.
    pub steps: usize,
    /// Whether the tolerance was reached.
    pub converged: bool,
}

/// Settings of a fit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Points of the quadrature, 11 to 1001.
    pub points: usize,
    /// Steps at most.
    pub steps: usize,
    /// The fit ends when no number moves by more.
    pub tolerance: f64,
    /// Deviation of a normal prior on elements, in logits, which keeps an element finite whose marks are
    /// all alike. None for pure likelihood.
    pub prior: Option<f64>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { points: 31, steps: 1000, tolerance: 1e-4, prior: Some(3.0) }
    }
}

/// Everything that is estimated.
#[derive(Debug, Clone)]
struct Numbers {
    /// All facets, one after the other.
    elements: Vec<f64>,
    thresholds: Vec<f64>,
    mean: f64,
    deviation: f64,
}

/// Marks by person, elements as places in the long vector of all facets.
struct Data {
    starts: Vec<usize>,
    /// facets a mark.
    elements: Vec<u32>,
    scores: Vec<u8>,
    facets: usize,
    sizes: Vec<usize>,
    categories: usize,
}

/// What one pass over the persons gives.
#[derive(Clone)]
struct Pass {
    gradient: Vec<f64>,
    information: Vec<f64>,
    tau_gradient: Vec<f64>,
    tau_information: Vec<f64>,
    first: f64,
    second: f64,
    log_likelihood: f64,
}

/// Fits a design of so many persons; `sizes` are the numbers of elements of each facet. A design that falls
/// into parts is refused; see also [`crate::design::subsets`].
pub fn fit(marks: &[Mark], persons: usize, sizes: &[usize], settings: &Settings) -> Result<Facets> {
    if !(11..=1001).contains(&settings.points) {
        return Err(Error::Setting { setting: "points", problem: "must lie between 11 and 1001".into() });
    }
    let data = Data::new(marks, persons, sizes)?;
    crate::design::whole(&crate::design::of_marks(marks, persons, sizes), &["element", "rater"])?;
    let quadrature = Quadrature::normal(settings.points);
    let mut numbers = Numbers {
        elements: vec![0.0; sizes.iter().sum()],
        thresholds: vec![0.0; data.categories - 1],
        mean: 0.0,
        deviation: 1.0,
    };
    let (mut steps, mut converged) = (0, false);
    while steps < settings.steps && !converged {
        let before = numbers.clone();
        let first = data.step(&before, &quadrature, settings);
        let second = data.step(&first, &quadrature, settings);
        steps += 2;
        converged = distance(&before, &first) < settings.tolerance;
        // SQUAREM's leap, taken only where it does not lose likelihood against the plain steps.
        let leapt = leap(&before, &first, &second);
        let reached = data.pass(&leapt, &quadrature).log_likelihood;
        numbers = if reached.is_finite() && reached > data.pass(&second, &quadrature).log_likelihood {
            leapt
        } else {
            second
        };
    }
    Ok(data.finish(numbers, &quadrature, steps, converged))
}

/// Chance that elements of a facet are all equally severe: χ² of Σ (δ − mean)² / error².
pub fn all_equal(elements: &[Element]) -> f64 {
    let known: Vec<&Element> = elements.iter().filter(|e| e.error.is_finite()).collect();
    let weight: f64 = known.iter().map(|e| e.error.powi(-2)).sum();
    let mean = known.iter().map(|e| e.severity * e.error.powi(-2)).sum::<f64>() / weight;
    let square = known.iter().map(|e| ((e.severity - mean) / e.error).powi(2)).sum();
    crate::significance::chi_square(square, known.len() as f64 - 1.0)
}

/// Whether an element's severity changed between two fits (occasions): z and its p.
pub fn drifted(before: &Element, after: &Element) -> (f64, f64) {
    let z = (after.severity - before.severity) / before.error.hypot(after.error);
    (z, normal_two_sided(z))
}

impl Data {
    fn new(marks: &[Mark], persons: usize, sizes: &[usize]) -> Result<Self> {
        let fail = |at: usize, problem: String| Err(Error::Response { at, problem });
        let mut offsets = vec![0];
        sizes.iter().for_each(|n| offsets.push(offsets[offsets.len() - 1] + n));
        let mut counts = vec![0_usize; persons + 1];
        let mut most = 1;
        for (at, mark) in marks.iter().enumerate() {
            if mark.person as usize >= persons {
                return fail(at, format!("person {} is not one of {persons}", mark.person));
            }
            if mark.elements.len() != sizes.len() {
                return fail(at, format!("it names {} facets, the design has {}", mark.elements.len(), sizes.len()));
            }
            if let Some(facet) = (0..sizes.len()).find(|&f| mark.elements[f] as usize >= sizes[f]) {
                return fail(
                    at,
                    format!("element {} is not one of {} of facet {facet}", mark.elements[facet], sizes[facet]),
                );
            }
            counts[mark.person as usize + 1] += 1;
            most = most.max(mark.score);
        }
        if marks.is_empty() {
            return Err(Error::Data {
                problem: "there are no marks".into(),
                hint: "give at least two persons and two elements",
            });
        }
        let categories = usize::from(most) + 1;
        let mut used = vec![false; categories];
        marks.iter().for_each(|mark| used[usize::from(mark.score)] = true);
        if let Some(empty) = used.iter().position(|used| !used) {
            return Err(Error::Data {
                problem: format!("nobody got the score {empty}"),
                hint: "join the empty category with its neighbour",
            });
        }
        for person in 0..persons {
            counts[person + 1] += counts[person];
        }
        let (starts, mut next) = (counts.clone(), counts);
        let mut elements = vec![0; marks.len() * sizes.len()];
        let mut scores = vec![0; marks.len()];
        for mark in marks {
            let place = &mut next[mark.person as usize];
            scores[*place] = mark.score;
            for (facet, element) in mark.elements.iter().enumerate() {
                elements[*place * sizes.len() + facet] = offsets[facet] as u32 + element;
            }
            *place += 1;
        }
        Ok(Self { starts, elements, scores, facets: sizes.len(), sizes: sizes.to_vec(), categories })
    }

    fn of(&self, person: usize) -> impl Iterator<Item = (&[u32], usize)> + '_ {
        let own = self.starts[person]..self.starts[person + 1];
        own.map(|at| (&self.elements[at * self.facets..(at + 1) * self.facets], usize::from(self.scores[at])))
    }

    /// Probabilities at θ − δ, by thresholds.
    fn probabilities(&self, from: f64, thresholds: &[f64], p: &mut [f64]) {
        p[0] = 0.0;
        for (k, tau) in thresholds.iter().enumerate() {
            p[k + 1] = p[k] + from - tau;
        }
        let most = p.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        p.iter_mut().for_each(|p| *p = (*p - most).exp());
        let sum: f64 = p.iter().sum();
        p.iter_mut().for_each(|p| *p /= sum);
    }

    /// Calls for each person with the posterior over points, and for each mark (elements, score, and at
    /// each point the probabilities).
    fn person(&self, person: usize, numbers: &Numbers, quadrature: &Quadrature, scratch: &mut Scratch) -> f64 {
        let points = quadrature.nodes.len();
        let marks = self.starts[person + 1] - self.starts[person];
        scratch.p.resize(marks * points * self.categories, 0.0);
        scratch.posterior.clear();
        scratch.posterior.extend(quadrature.weights.iter().map(|w| w.ln()));
        for (at, (elements, score)) in self.of(person).enumerate() {
            let severity: f64 = elements.iter().map(|&e| numbers.elements[e as usize]).sum();
            for (q, z) in quadrature.nodes.iter().enumerate() {
                let theta = numbers.mean + numbers.deviation * z;
                let p = &mut scratch.p[(at * points + q) * self.categories..][..self.categories];
                self.probabilities(theta - severity, &numbers.thresholds, p);
                scratch.posterior[q] += p[score].max(f64::MIN_POSITIVE).ln();
            }
        }
        let most = scratch.posterior.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        scratch.posterior.iter_mut().for_each(|p| *p = (*p - most).exp());
        let sum: f64 = scratch.posterior.iter().sum();
        scratch.posterior.iter_mut().for_each(|p| *p /= sum);
        most + sum.ln()
    }

    fn pass(&self, numbers: &Numbers, quadrature: &Quadrature) -> Pass {
        const SHARES: usize = 32;
        let persons = self.starts.len() - 1;
        let share = persons.div_ceil(SHARES).max(1);
        let empty = Pass {
            gradient: vec![0.0; numbers.elements.len()],
            information: vec![0.0; numbers.elements.len()],
            tau_gradient: vec![0.0; self.categories - 1],
            tau_information: vec![0.0; self.categories - 1],
            first: 0.0,
            second: 0.0,
            log_likelihood: 0.0,
        };
        let points = quadrature.nodes.len();
        let passes: Vec<Pass> = (0..persons.div_ceil(share))
            .into_par_iter()
            .map(|at| {
                let (mut pass, mut scratch) = (empty.clone(), Scratch::default());
                for person in at * share..((at + 1) * share).min(persons) {
                    pass.log_likelihood += self.person(person, numbers, quadrature, &mut scratch);
                    for (post, z) in scratch.posterior.iter().zip(&quadrature.nodes) {
                        pass.first += post * z;
                        pass.second += post * z * z;
                    }
                    for (at, (elements, score)) in self.of(person).enumerate() {
                        let (mut gradient, mut information) = (0.0, 0.0);
                        for (q, post) in scratch.posterior.iter().enumerate() {
                            let p = &scratch.p[(at * points + q) * self.categories..][..self.categories];
                            let mean: f64 = p.iter().enumerate().map(|(k, p)| k as f64 * p).sum();
                            let square: f64 = p.iter().enumerate().map(|(k, p)| (k as f64 - mean).powi(2) * p).sum();
                            gradient += post * (mean - score as f64);
                            information += post * square;
                            // Category k or more carries −τ_k.
                            let mut above = 1.0;
                            for (step, p) in p[..self.categories - 1].iter().enumerate() {
                                above -= p;
                                pass.tau_gradient[step] += post * (above - f64::from(score > step));
                                pass.tau_information[step] += post * above * (1.0 - above);
                            }
                        }
                        for &element in elements {
                            pass.gradient[element as usize] += gradient;
                            pass.information[element as usize] += information;
                        }
                    }
                }
                pass
            })
            .collect();
        passes.into_iter().fold(empty, |mut sum, pass| {
            let add = |to: &mut [f64], more: &[f64]| to.iter_mut().zip(more).for_each(|(to, more)| *to += more);
            add(&mut sum.gradient, &pass.gradient);
            add(&mut sum.information, &pass.information);
            add(&mut sum.tau_gradient, &pass.tau_gradient);
            add(&mut sum.tau_information, &pass.tau_information);
            sum.first += pass.first;
            sum.second += pass.second;
            sum.log_likelihood += pass.log_likelihood;
            sum
        })
    }

    /// One step of EM, with one step of Newton's method for each number.
    fn step(&self, numbers: &Numbers, quadrature: &Quadrature, settings: &Settings) -> Numbers {
        let pass = self.pass(numbers, quadrature);
        let precision = settings.prior.map_or(0.0, |deviation| deviation.powi(-2));
        let mut next = numbers.clone();
        // A mark moves every facet at once, so each takes its share of the step.
        let shared = self.facets as f64;
        for (element, (gradient, information)) in
            next.elements.iter_mut().zip(pass.gradient.iter().zip(&pass.information))
        {
            let information = information + precision;
            if information > 1e-12 {
                *element += ((gradient - precision * *element) / (shared * information)).clamp(-1.0, 1.0);
            }
        }
        if self.categories > 2 {
            for (tau, (gradient, information)) in
                next.thresholds.iter_mut().zip(pass.tau_gradient.iter().zip(&pass.tau_information))
            {
                *tau += (gradient / (2.0 * information.max(1e-12))).clamp(-1.0, 1.0);
            }
            let mean = next.thresholds.iter().sum::<f64>() / next.thresholds.len() as f64;
            next.thresholds.iter_mut().for_each(|tau| *tau -= mean);
        }
        // Moments of z give those of θ = μ + σ z.
        let n = (self.starts.len() - 1) as f64;
        let (first, second) = (pass.first / n, pass.second / n);
        next.mean += next.deviation * first;
        next.deviation *= (second - first * first).max(1e-6).sqrt();
        self.centre(&mut next);
        next
    }

    /// Every facet's mean goes into the mean of ability.
    fn centre(&self, numbers: &mut Numbers) {
        let mut at = 0;
        for &size in &self.sizes {
            let facet = &mut numbers.elements[at..at + size];
            let mean = facet.iter().sum::<f64>() / size as f64;
            facet.iter_mut().for_each(|e| *e -= mean);
            numbers.mean -= mean;
            at += size;
        }
    }

    fn finish(&self, numbers: Numbers, quadrature: &Quadrature, steps: usize, converged: bool) -> Facets {
        let points = quadrature.nodes.len();
        let count = numbers.elements.len();
        let (mut z2, mut n) = (vec![0.0; count], vec![0_usize; count]);
        let (mut residual, mut variance, mut information) = (vec![0.0; count], vec![0.0; count], vec![0.0; count]);
        let mut persons = Vec::with_capacity(self.starts.len() - 1);
        let (mut scratch, mut log_likelihood) = (Scratch::default(), 0.0);
        let mut scores: Vec<(u32, Vec<f64>)> = Vec::new();
        for person in 0..self.starts.len() - 1 {
            log_likelihood += self.person(person, &numbers, quadrature, &mut scratch);
            let post = &scratch.posterior;
            let mean: f64 = post.iter().zip(&quadrature.nodes).map(|(p, z)| p * z).sum();
            let square: f64 = post.iter().zip(&quadrature.nodes).map(|(p, z)| p * (z - mean).powi(2)).sum();
            persons.push((numbers.mean + numbers.deviation * mean, numbers.deviation * square.sqrt()));
            scores.clear();
            for (at, (elements, score)) in self.of(person).enumerate() {
                let mut along = vec![0.0; points];
                let (mut square_residual, mut spread, mut standard) = (0.0, 0.0, 0.0);
                for (q, post) in post.iter().enumerate() {
                    let p = &scratch.p[(at * points + q) * self.categories..][..self.categories];
                    let mean: f64 = p.iter().enumerate().map(|(k, p)| k as f64 * p).sum();
                    let within: f64 = p.iter().enumerate().map(|(k, p)| (k as f64 - mean).powi(2) * p).sum();
                    along[q] = mean - score as f64;
                    // Over the posterior, the squared residual has the variance as its expectation: the
                    // person's place is not known, and so not fitted to this mark twice.
                    square_residual += post * along[q] * along[q];
                    standard += post * along[q] * along[q] / within.max(1e-9);
                    spread += post * within;
                }
                for &e in elements {
                    let e = e as usize;
                    n[e] += 1;
                    z2[e] += standard;
                    residual[e] += square_residual;
                    variance[e] += spread;
                    information[e] += spread;
                    match scores.iter_mut().find(|(other, _)| *other == e as u32) {
                        Some((_, sum)) => sum.iter_mut().zip(&along).for_each(|(to, a)| *to += a),
                        None => scores.push((e as u32, along.clone())),
                    }
                }
            }
            // Louis: the observed information is the complete one less the variance of the score.
            for (e, along) in &scores {
                let mean: f64 = post.iter().zip(along).map(|(p, s)| p * s).sum();
                information[*e as usize] -= post.iter().zip(along).map(|(p, s)| p * (s - mean).powi(2)).sum::<f64>();
            }
        }
        let fair = |severity: f64| {
            let mut p = vec![0.0; self.categories];
            self.probabilities(numbers.mean - severity, &numbers.thresholds, &mut p);
            p.iter().enumerate().map(|(k, p)| k as f64 * p).sum()
        };
        let mut at = 0;
        let facets = self.sizes.iter().map(|&size| {
            let range = at..at + size;
            at += size;
            let one = |e: usize| Element {
                severity: numbers.elements[e],
                error: if information[e] > 1e-9 { information[e].powf(-0.5) } else { f64::INFINITY },
                infit: residual[e] / variance[e],
                outfit: z2[e] / n[e] as f64,
                fair: fair(numbers.elements[e]),
                n: n[e],
            };
            range.map(one).collect()
        });
        let facets = facets.collect();
        Facets {
            facets,
            thresholds: numbers.thresholds,
            mean: numbers.mean,
            deviation: numbers.deviation,
            persons,
            log_likelihood,
            steps,
            converged,
        }
    }
}

#[derive(Default)]
struct Scratch {
    posterior: Vec<f64>,
    p: Vec<f64>,
}

impl Numbers {
    fn all(&self) -> impl Iterator<Item = f64> + '_ {
        self.elements.iter().chain(&self.thresholds).copied().chain([self.mean, self.deviation.ln()])
    }

    fn shaped(&self, mut all: impl Iterator<Item = f64>) -> Self {
        let mut next = || all.next().unwrap_or(0.0);
        let mut shaped = self.clone();
        shaped.elements.iter_mut().chain(&mut shaped.thresholds).for_each(|x| *x = next());
        shaped.mean = next();
        shaped.deviation = next().exp();
        shaped
    }
}

fn distance(a: &Numbers, b: &Numbers) -> f64 {
    a.all().zip(b.all()).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

fn leap(x0: &Numbers, x1: &Numbers, x2: &Numbers) -> Numbers {
    let three: Vec<[f64; 3]> = x0.all().zip(x1.all()).zip(x2.all()).map(|((a, b), c)| [a, b, c]).collect();
    let r: f64 = three.iter().map(|[a, b, _]| (b - a).powi(2)).sum();
    let v: f64 = three.iter().map(|[a, b, c]| (c - 2.0 * b + a).powi(2)).sum();
    let alpha = if v > 0.0 { (-(r / v).sqrt()).clamp(-50.0, -1.0) } else { -1.0 };
    x0.shaped(three.into_iter().map(|[a, b, c]| a - 2.0 * alpha * (b - a) + alpha * alpha * (c - 2.0 * b + a)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    const ITEMS: [f64; 4] = [-0.8, -0.2, 0.1, 0.9];
    const RATERS: [f64; 5] = [-1.0, -0.5, 0.0, 0.4, 1.1];

    /// 800 persons answer four items, and two of five raters mark each answer; the last rater rolls dice
    /// in so many of the marks.
    fn marks(careless: f64) -> Vec<Mark> {
        let mut random = ChaCha8Rng::seed_from_u64(4);
        let thresholds = [-1.2, 0.2, 1.0];
        let mut marks = Vec::new();
        for person in 0..800_usize {
            let (u, v): (f64, f64) = (random.random(), random.random());
            let theta = 0.5 + 1.2 * (-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos();
            for (item, b) in ITEMS.iter().enumerate() {
                let first = (person + item) % 5;
                for rater in [first, (first + 1 + person / 5 % 4) % 5] {
                    let mut logits = vec![0.0];
                    thresholds
                        .iter()
                        .for_each(|t| logits.push(logits[logits.len() - 1] + theta - b - RATERS[rater] - t));
                    let p: Vec<f64> = logits.iter().map(|l| l.exp()).collect();
                    let mut left = random.random::<f64>() * p.iter().sum::<f64>();
                    let drawn = p.iter().position(|p| {
                        left -= p;
                        left < 0.0
                    });
                    let dice = rater == 4 && random.random::<f64>() < careless;
                    let score = if dice { random.random_range(0..4) } else { drawn.unwrap_or(3) as u8 };
                    marks.push(Mark { person: person as u32, elements: vec![item as u32, rater as u32], score });
                }
            }
        }
        marks
    }

    #[test]
    fn severities_come_back() {
        let fit = fit(&marks(0.0), 800, &[4, 5], &Settings::default()).expect("a fit");
        assert!(fit.converged, "{} steps", fit.steps);
        for (found, truth) in fit.facets.iter().flatten().zip(ITEMS.iter().chain(&RATERS)) {
            assert!(
                (found.severity - truth).abs() < 3.5 * found.error && found.error < 0.1,
                "{found:?} is not {truth}"
            );
            assert!((0.9..1.1).contains(&found.infit), "{found:?}");
        }
        assert!((fit.deviation - 1.2).abs() < 0.15 && (fit.mean - 0.5).abs() < 0.15, "{} {}", fit.mean, fit.deviation);
        assert!(all_equal(&fit.facets[1]) < 1e-6);
        let fair: Vec<f64> = fit.facets[1].iter().map(|e| e.fair).collect();
        assert!(fair.windows(2).all(|pair| pair[0] > pair[1]), "{fair:?}");
    }

    #[test]
    fn a_careless_rater_is_seen() {
        let fit = fit(&marks(0.5), 800, &[4, 5], &Settings::default()).expect("a fit");
        let infit: Vec<f64> = fit.facets[1].iter().map(|e| e.infit).collect();
        assert!(infit[4] > 1.3 && infit[..4].iter().all(|i| *i < 1.1), "{infit:?}");
    }

    #[test]
    fn bad_marks_are_named() {
        let mark = |element: u32, score| Mark { person: 0, elements: vec![element], score };
        let error = |marks: &[Mark]| fit(marks, 1, &[2], &Settings::default()).expect_err("must fail").to_string();
        assert!(error(&[mark(0, 1), mark(2, 0)]).contains("response 1: element 2"));
        assert!(error(&[mark(0, 0), mark(1, 2)]).contains("score 1"));
        assert!(error(&[]).contains("no marks"));
        let few = Settings { points: 1, ..Settings::default() };
        assert!(fit(&[mark(0, 1)], 1, &[2], &few).expect_err("must fail").to_string().contains("points"));
    }
}
