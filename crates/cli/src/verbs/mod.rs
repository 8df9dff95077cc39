//! One verb a file: its arguments, its help with an example, and how it is carried out.

pub mod cache;
pub mod chat;
pub mod compare;
pub mod completions;
pub mod evolve;
pub mod exam;
pub mod export;
pub mod generate;
pub mod grade;
pub mod irt;
pub mod lab;
pub mod learn;
pub mod logs;
pub mod plan;
pub mod practise;
pub mod pull;
pub mod report;
pub mod scaling;
pub mod score;
pub mod serve;
pub mod short;
pub mod synth;
pub mod tasks;
pub mod validate;
