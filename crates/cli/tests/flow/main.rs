//! The binary as a user runs it, on a tiny random model and a small folder of documents.

mod bad_input;
mod closed;
mod data;
mod kill;
mod practise;
mod setting;
mod tasks;
