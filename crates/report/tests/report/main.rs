//! The page and the text of a report with everything in it, hostile model answers included.

mod browser;
mod page;
mod sample;
mod sheet;
