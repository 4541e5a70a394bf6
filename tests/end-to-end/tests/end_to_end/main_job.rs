//! The main job with three devices and a small tree, every program as a process of its own.

use std::time::Duration;

use harness::{Programs, Scenario, small_tree};

#[test]
fn a_system_is_released_rolled_out_and_taken_back_where_it_fails() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let trees = ["v1", "v2"].map(|version| folder.path().join(format!("tree-{version}")));
    for (tree, version) in trees.iter().zip(["v1", "v2"]) {
        small_tree(tree, version)?;
    }
    let scenario = Scenario {
        programs: Programs::beside_tests()?,
        folder: folder.path().to_path_buf(),
        devices: 3,
        trees,
        patience: Duration::from_mins(2),
    };
    let installation = scenario.play(&mut |step| println!("{step}"))?;
    for device in &installation.devices {
        installation.compare_with_real_ostree(device)?;
    }
    println!("{}", installation.fleet_table()?);
    for refused in installation.attack()? {
        println!("{}: {} ({}): {}", refused.attack, refused.name, refused.code, refused.said);
    }
    // Deployments are marked immutable; nobody could remove the folder.
    std::process::Command::new("chattr").args(["-R", "-f", "-i"]).arg(folder.path()).status()?;
    Ok(())
}
