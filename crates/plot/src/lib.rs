//! Here are numbers: draw them.
//!
//! Each picture is a function from a plain struct of labels and numbers to a [`Figure`], which is SVG
//! ([`Figure::svg`]) or PNG ([`Figure::png`]): [`wright`], [`curves`], [`information`], [`pathway`],
//! [`forest`], [`severity`], [`kidmap`], [`difficulty`], [`matrix`], [`salience`], [`scaling`], [`power`].
//!
//! Invariants: a picture needs nothing else, runs nothing, and is the same bytes for the same numbers.
//! Whatever a label holds is shown as text. What is not finite is left out, and the caption says how
//! much; the caption gives n. Labels do not cover each other: where there are too many to tell apart,
//! the furthest out are named. Colour never says alone what a thing means.

mod canvas;
mod curves;
mod error;
mod figure;
mod font;
mod forest;
mod frame;
mod heat;
mod information;
mod ink;
mod kidmap;
mod measure;
mod pathway;
mod place;
mod power;
mod salience;
mod scale;
mod scaling;
mod severity;
mod sides;
mod wright;

pub use curves::{Curves, Line, Observed, curves};
pub use error::{Error, Result};
pub use figure::Figure;
pub use forest::{Class, Forest, Row, forest};
pub use heat::{Difficulty, Matrix, difficulty, matrix};
pub use information::{Information, information};
pub use kidmap::{Answered, Kidmap, kidmap};
pub use measure::Measure;
pub use pathway::{Fit, Pathway, pathway};
pub use power::{Power, power};
pub use salience::{Salience, salience, salience_html};
pub use scaling::{Law, Model, Scaling, scaling};
pub use severity::{Rater, Severity, severity};
pub use wright::{Wright, wright};
