//! A program that uses a library of ours, and has no worker: hostile corrections do not hang it.

use updraft_delta::{can_pack, pack_in_workers_only, repack};

/// Found by fuzzing: blocks without end, each of no bytes.
const ENDLESS: &str = "000000000000000000000000000000000000000003030000000000000000000000000000\
                       c8000000ffffff000000a8030a29a8";

#[test]
fn nothing_is_packed_without_a_worker_where_that_is_asked() {
    let corrections: Vec<u8> = (0..ENDLESS.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&ENDLESS[at..at + 2], 16).expect("hex"))
        .collect();
    assert_eq!(corrections.len(), 51);
    assert!(can_pack());
    pack_in_workers_only();
    assert!(!can_pack());
    // Without that it would go on until the memory is used up.
    let refused = repack(&[3, 0], &corrections).expect_err("it found an answer");
    assert!(refused.to_string().contains("process"), "{refused}");
}
