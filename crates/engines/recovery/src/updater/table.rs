//! Which functions scripts may call. Looked at before the first one is called.

use updraft_payload::script::Expression;

use crate::{Error, Result};

/// Each with the fewest and the most arguments.
const FUNCTIONS: &[(&str, usize, usize)] = &[
    ("abort", 0, 1),
    ("add_slot_suffix", 1, 1),
    ("apply_patch", 6, 1000),
    ("apply_patch_check", 1, 1000),
    ("apply_patch_space", 1, 1),
    ("assert", 0, 1000),
    ("block_image_recover", 2, 2),
    ("block_image_update", 4, 4),
    ("block_image_verify", 4, 4),
    ("check_first_block", 1, 1),
    ("concat", 0, 1000),
    ("delete", 0, 10000),
    ("delete_recursive", 0, 10000),
    ("enable_reboot", 0, 0),
    ("file_getprop", 2, 2),
    ("format", 5, 5),
    ("get_stage", 1, 1),
    ("getprop", 1, 1),
    ("greater_than_int", 2, 2),
    ("ifelse", 2, 3),
    ("is_mounted", 1, 1),
    ("is_substring", 2, 2),
    ("less_than_int", 2, 2),
    ("map_partition", 1, 1),
    ("mount", 4, 5),
    ("package_extract_dir", 2, 2),
    ("package_extract_file", 1, 2),
    ("patch_partition", 3, 4),
    ("patch_partition_check", 2, 2),
    ("range_sha1", 2, 2),
    ("read_file", 1, 1),
    ("reboot_now", 2, 2),
    ("rename", 2, 2),
    ("run_program", 1, 1000),
    ("set_metadata", 3, 1000),
    ("set_metadata_recursive", 3, 1000),
    ("set_perm", 4, 1000),
    ("set_perm_recursive", 5, 1000),
    ("set_progress", 1, 1),
    ("set_stage", 2, 2),
    ("sha1_check", 1, 1000),
    ("show_progress", 2, 2),
    ("sleep", 1, 1),
    ("stdout", 0, 1000),
    ("symlink", 1, 10000),
    ("tune2fs", 1, 100),
    ("ui_print", 0, 1000),
    ("unmap_partition", 1, 1),
    ("unmount", 1, 1),
    ("update_dynamic_partitions", 1, 1),
    ("wipe_block_device", 2, 2),
    ("wipe_cache", 0, 0),
    ("write_value", 2, 2),
];
/// The file systems that can be made.
const FORMATS: [&[u8]; 2] = [b"ext4", b"f2fs"];

/// Whether a function is there, and may be given that.
pub(super) fn check(name: &str, arguments: &[Expression], line: usize) -> Result<()> {
    let bad = |problem| Err(Error::Function { name: name.to_owned(), line, problem });
    match FUNCTIONS.iter().find(|(own, ..)| *own == name) {
        None => return bad("there is none"),
        Some((_, fewest, most)) if !(*fewest..=*most).contains(&arguments.len()) => {
            return bad("it takes another number of arguments");
        }
        Some(_) => {}
    }
    if let ("format", Some(Expression::Text(file_system))) = (name, arguments.first())
        && !FORMATS.contains(&&file_system[..])
    {
        return bad("it makes ext4 and f2fs");
    }
    if name == "apply_patch" && !arguments.len().is_multiple_of(2) {
        return bad("each of its patches needs the SHA-1 for which it is");
    }
    Ok(())
}
