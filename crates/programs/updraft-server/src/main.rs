//! updraft-server.

fn main() {}
