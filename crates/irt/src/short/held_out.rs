use std::collections::BTreeSet;

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::{Maker, Method, Whole};
use crate::{Error, Result};

/// How forms are measured on persons whom their choice did not see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldOut {
    /// Folds of persons at most; each cluster lies in one of them.
    pub folds: usize,
    /// Draws of the methods that draw items.
    pub draws: usize,
    /// Seed of folds and draws.
    pub seed: u64,
}

/// Errors of a method with so many items.
#[derive(Debug, Clone, PartialEq)]
pub struct Errors {
    /// How forms were made.
    pub method: Method,
    /// Items of a form.
    pub items: usize,
    /// For each person |estimate − score on the whole test|, a mean over draws.
    pub absolute: Vec<f64>,
    /// The same with its sign.
    pub signed: Vec<f64>,
    /// Ability by the form and by the whole test, on the scale where θ ~ N(0, 1); empty without curves.
    pub abilities: Vec<(f64, f64)>,
}

impl HeldOut {
    /// Makes forms without the persons of a fold and holds their estimates against these, fold after fold:
    /// all methods, with all numbers of items.
    pub fn measure(
        &self,
        whole: &Whole,
        clusters: &[usize],
        methods: &[Method],
        sizes: &[usize],
    ) -> Result<Vec<Errors>> {
        let folds = self.folds_of(clusters)?;
        let cells: Vec<(Method, usize)> =
            methods.iter().flat_map(|method| sizes.iter().map(move |size| (*method, *size))).collect();
        let mut all: Vec<Errors> = cells
            .iter()
            .map(|&(method, items)| {
                let abilities = if method.needs_curves() { vec![(0.0, 0.0); whole.persons()] } else { Vec::new() };
                let none = vec![0.0; whole.persons()];
                Errors { method, items, absolute: none.clone(), signed: none, abilities }
            })
            .collect();
        let curves = methods.iter().any(|method| method.needs_curves());
        for (number, fold) in folds.iter().enumerate() {
            let rest = (0..whole.persons()).filter(|person| !fold.contains(person)).collect();
            let maker = Maker::new(whole, rest, clusters, curves)?;
            let found: Vec<Vec<Found>> = cells
                .par_iter()
                .map(|&(method, size)| {
                    let draws = if method.drawn() { self.draws.max(1) } else { 1 };
                    let forms: Result<Vec<_>> = (0..draws)
                        .map(|draw| {
                            let seed =
                                ChaCha8Rng::seed_from_u64(self.seed ^ ((number as u64) << 32 | draw as u64)).next_u64();
                            maker.form(method, size, seed)
                        })
                        .collect();
                    let forms = forms?;
                    let of = |&person: &usize| {
                        let truth = whole.score(person);
                        let mut found = Found { person, ..Found::default() };
                        for form in &forms {
                            let error = form.estimate_of(whole, person) - truth;
                            found.absolute += error.abs() / draws as f64;
                            found.signed += error / draws as f64;
                        }
                        if let (Some(bank), Some(short)) = (&forms[0].bank, forms[0].ability_of(whole, person)) {
                            let given: Vec<(usize, f64)> = whole.of(person).iter().copied().enumerate().collect();
                            found.abilities = Some((short, bank.ability(&given)));
                        }
                        found
                    };
                    Ok(fold.iter().map(of).collect())
                })
                .collect::<Result<_>>()?;
            for (errors, found) in all.iter_mut().zip(found) {
                for found in found {
                    errors.absolute[found.person] = found.absolute;
                    errors.signed[found.person] = found.signed;
                    if let Some(abilities) = found.abilities {
                        errors.abilities[found.person] = abilities;
                    }
                }
            }
        }
        Ok(all)
    }

    /// Clusters, shuffled and dealt to folds.
    fn folds_of(&self, clusters: &[usize]) -> Result<Vec<BTreeSet<usize>>> {
        let mut order: Vec<usize> = clusters.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
        if order.len() < 4 {
            return Err(Error::Data {
                problem: format!("{} independent persons are too few to hold some out", order.len()),
                hint: "give logs of four or more base models; ten or more make the error worth stating",
            });
        }
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(self.seed));
        let mut folds = vec![BTreeSet::new(); self.folds.clamp(2, order.len())];
        for (at, cluster) in order.iter().enumerate() {
            let fold = at % folds.len();
            folds[fold].extend((0..clusters.len()).filter(|&person| clusters[person] == *cluster));
        }
        Ok(folds)
    }
}

#[derive(Default)]
struct Found {
    person: usize,
    absolute: f64,
    signed: f64,
    abilities: Option<(f64, f64)>,
}
