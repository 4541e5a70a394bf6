//! `cargo xtask test`: everything that must hold before a change lands.

use std::process::Command;
use std::time::Instant;

use anyhow::{Result, anyhow, bail};
use clap::Args;

use crate::{fuzz, packages, shell, web};

/// Options of `cargo xtask test`.
#[derive(Args)]
pub(crate) struct Options {
    /// Refuse to install missing Debian packages
    #[arg(long)]
    no_install: bool,
    /// Only the tests: no formatting, no lints, no fuzz targets
    #[arg(long)]
    quick: bool,
}

/// What the test binaries said.
#[derive(Default)]
struct Tally {
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Tally {
    /// Adds what others said.
    fn add(&mut self, other: &Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
    }

    /// Adds a line such as `test result: ok. 5 passed; 0 failed; 0 ignored; …`.
    fn look(&mut self, line: &str) {
        let Some((_, counts)) =
            line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". "))
        else {
            return;
        };
        for part in counts.split(';') {
            let mut words = part.split_whitespace();
            let count = words.next().and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
            match words.next() {
                Some("passed") => self.passed += count,
                Some("failed") => self.failed += count,
                Some("ignored") => self.ignored += count,
                _ => {}
            }
        }
    }
}

/// What was done one after the other, all of it although something failed.
#[derive(Default)]
struct Steps {
    problems: Vec<String>,
    /// Such as `lints 120 s`.
    times: Vec<String>,
}

impl Steps {
    fn take(&mut self, name: &str, step: impl FnOnce() -> Result<()>) {
        let start = Instant::now();
        if let Err(error) = step() {
            self.problems.push(format!("{name}: {error:#}"));
        }
        self.times.push(format!("{name} {} s", start.elapsed().as_secs()));
    }

    fn check(&mut self, name: &str, command: &mut Command) {
        self.take(name, || shell::run(command));
    }
}

/// Runs the suite; an error when anything in it failed.
pub(crate) fn run(options: &Options) -> Result<()> {
    let start = Instant::now();
    packages::require(packages::TEST, !options.no_install)?;
    packages::require(packages::DEMO, !options.no_install)?;
    if !packages::is_root() {
        bail!("file owners and set-id modes are tested, so the tests run as root: try sudo -E");
    }
    let mut steps = Steps::default();
    // Before the server, which takes what this makes.
    steps.take("dashboard", web::build);
    if !options.quick {
        steps.check("formatting", shell::cargo().args(["fmt", "--all", "--check"]));
        let clippy = ["clippy", "--workspace", "--all-targets", "--keep-going", "--"];
        steps.check("lints", shell::cargo().args(clippy).args(["-D", "warnings"]));
        steps.take("lints of the dashboard", web::check);
        if shell::exists("cargo-deny") {
            steps.check("dependencies", shell::cargo().args(["deny", "check"]));
        }
        if fuzz::exists() {
            steps.take("fuzz targets", fuzz::check);
        }
    }
    // The programs first: tests run them as a user would.
    steps.check("programs", shell::cargo().args(["build", "--workspace", "--bins"]));
    // Then all tests, since only one cargo builds at a time, and both of the following would wait.
    steps.check("building tests", shell::cargo().args(["test", "--workspace", "--no-run"]));
    let mut tally = Tally::default();
    steps.take("tests", || {
        let (succeeded, said) = tests()?;
        tally = said;
        // Each test that failed is counted by itself.
        if !succeeded && tally.failed == 0 {
            bail!("they did not all run");
        }
        Ok(())
    });
    for problem in &steps.problems {
        eprintln!("error: {problem}");
    }
    println!("{}", steps.times.join(", "));
    println!("took {} s; {} ignored", start.elapsed().as_secs(), tally.ignored);
    let failed = tally.failed + steps.problems.len() as u64;
    println!("{} passed, {failed} failed", tally.passed);
    if failed > 0 {
        bail!("the suite failed");
    }
    if tally.passed == 0 {
        bail!("no test ran");
    }
    Ok(())
}

/// Runs all tests; whether they succeeded, and what they said.
///
/// Most of them wait for servers and devices for much of their time, which is what machines run in: each
/// of those keeps a processor busy by itself, and gives way to all else. Those that take minutes are left
/// to `cargo xtask nightly`.
fn tests() -> Result<(bool, Tally)> {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let mut waiting = shell::cargo();
    waiting.args(["test", "--workspace", "--exclude", "vm", "--no-fail-fast"]);
    let mut machines = shell::nice_cargo();
    // Not `--package vm`: with other features of what it depends on, that would be built once more.
    machines.args(["test", "--workspace", "--test", "machines", "--no-fail-fast"]);
    let mut commands = [waiting, machines];
    for command in &mut commands {
        // A server or a system that starts is waited for now and then.
        command.env("RUST_TEST_THREADS", (processors + 1).to_string());
    }
    let run = |mut command: Command| {
        let start = Instant::now();
        let mut tally = Tally::default();
        let succeeded = shell::watch(&mut command, |line| tally.look(line))?;
        Ok::<_, anyhow::Error>((succeeded, tally, start.elapsed().as_secs()))
    };
    let ended = std::thread::scope(|scope| {
        let threads = commands.map(|command| scope.spawn(move || run(command)));
        threads.map(std::thread::ScopedJoinHandle::join)
    });
    let mut all = (true, Tally::default());
    for (name, ended) in ["tests without machines", "machines"].iter().zip(ended) {
        let ended = ended.map_err(|_| anyhow!("a thread that ran tests ended"))?;
        let (succeeded, tally, seconds) = ended?;
        println!("{name} took {seconds} s");
        all.0 &= succeeded;
        all.1.add(&tally);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::Tally;

    #[test]
    fn counts_add_up_over_test_binaries() {
        let mut tally = Tally::default();
        tally.look("running 5 tests");
        tally.look("test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out");
        tally.look("test result: FAILED. 2 passed; 3 failed; 0 ignored; 0 measured");
        assert_eq!((tally.passed, tally.failed, tally.ignored), (7, 3, 1));
        let mut all = Tally { passed: 1, failed: 2, ignored: 3 };
        all.add(&tally);
        assert_eq!((all.passed, all.failed, all.ignored), (8, 5, 4));
    }
}
