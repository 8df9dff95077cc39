//! lyceum
fn main() {}
