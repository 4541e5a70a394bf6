//! updraftd.

fn main() {}
