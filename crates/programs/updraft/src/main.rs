//! updraft.

fn main() {}
