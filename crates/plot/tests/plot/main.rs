//! Every picture: what it looks like to a program that reads it.

mod geometry;
mod refusal;
mod sample;
