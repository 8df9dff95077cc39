//! The binary as a user runs it, on a tiny random model and a small folder of documents.

mod bad_input;
mod closed;
mod compare;
mod data;
mod grade;
mod irt;
mod kill;
mod practise;
mod scaling;
mod setting;
mod short;
mod tasks;
