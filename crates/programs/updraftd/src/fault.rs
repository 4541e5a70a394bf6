//! For tests of power cuts, in debug builds only: the process kills itself before its Nth write
//! operation, so that every point of an update can be hit exactly.

/// The variable that holds N.
const VARIABLE: &str = "UPDRAFT_TEST_KILL_AFTER";

/// Arms the hook when the variable is set.
pub(crate) fn arm() {
    if let Ok(text) = std::env::var(VARIABLE)
        && let Ok(operations) = text.parse()
    {
        updraft_fs::fault::kill_process_after(operations);
    }
}
