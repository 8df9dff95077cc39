//! What do these responses prove? Rasch and its relatives.
//!
//! [`Responses`] hold scores of persons on items, with gaps. [`Mml`] fits a [`Model`] by marginal
//! likelihood, [`cml`] without assumptions about persons, [`jml`] as older programs do; the [`Fit`] gives
//! curves, abilities by four estimators, information, mean squares, person fit, S-X², M2 and Q3.
//! [`Bayes`] draws posteriors for small
//! samples, [`Mirt`] has several abilities, [`facets`] raters and occasions, [`design`] says what hangs together, [`dif`] asks whether items favour a
//! group, [`equate`] puts two tests on one scale, [`adaptive`] chooses the next item, [`short`] a few that stand for all, [`raters`] measures
//! agreement, [`pairwise`] gives strength from duels.
//!
//! Pure mathematics: nothing here knows what a model or a file is. Sums have a fixed order, so results
//! do not depend on the number of threads. What cannot be estimated is an error or `None`, never a guess.

pub mod adaptive;
mod bayes;
mod cml;
pub mod design;
pub mod dif;
pub mod equate;
mod error;
pub mod facets;
mod fit;
mod global;
mod joint;
mod known;
mod mirt;
mod mml;
mod model;
pub mod pairwise;
mod person;
mod quadrature;
pub mod raters;
mod responses;
pub mod short;
pub mod significance;

pub use bayes::{Bayes, Posterior, Posteriors};
pub use cml::{Cml, cml};
pub use error::{Error, Result};
pub use fit::MeanSquare;
pub use global::{Test, andersen, by_raw_score};
pub use joint::{Jml, jml};
pub use mirt::{Mirt, Plane, Planes};
pub use mml::{Fit, ItemErrors, Mml};
pub use model::{Item, Model};
pub use person::{Ability, Estimator, separation};
pub use quadrature::Quadrature;
pub use responses::Responses;
