//! How the suites that need root begin.

use std::{
    env,
    io::{self, BufRead as _, BufReader, Read, Write as _},
    process::{Command, ExitCode, Stdio},
    sync::{Mutex, PoisonError},
    thread,
    time::Duration,
};

use anyhow::{Result, ensure};
use libtest_mimic::{Arguments, Trial};

use crate::lab;

/// The environment variable that names the one group that a process runs.
const GROUP: &str = "SVCLB_TEST_GROUP";

/// Trials that share something, such as a lab, and so run one after the other.
pub struct Group {
    /// Its name, unique among the suite's groups.
    pub name: String,
    /// What it runs.
    pub trials: Vec<Trial>,
}

/// Runs what the command line selects of `trials`, one after the other: they share labs, and on few
/// processors it is faster too.
///
/// Says what is missing and fails if this is not root, unless the trials are only to be listed.
pub fn run(trials: impl FnOnce() -> Vec<Trial>) -> ExitCode {
    begin()
        .map_or(ExitCode::FAILURE, |arguments| libtest_mimic::run(&arguments, trials()).exit_code())
}

/// The same for trials in groups. Those of different groups run side by side, each group in a
/// process of its own, as many at a time as there are processors: such trials mostly wait.
pub fn run_groups(groups: impl FnOnce() -> Vec<Group>) -> ExitCode {
    let Some(arguments) = begin() else { return ExitCode::FAILURE };
    let mut groups = groups();
    groups.retain(|group| group.trials.iter().any(|trial| is_selected(&arguments, trial)));
    let own = env::var(GROUP).ok();
    if own.is_none() && !arguments.list && groups.len() > 1 {
        let names: Vec<_> = groups.into_iter().map(|group| group.name).collect();
        return side_by_side(&names);
    }
    groups.retain(|group| own.as_ref().is_none_or(|own| group.name == *own));
    let trials = groups.into_iter().flat_map(|group| group.trials).collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// Checks that something took less than a second; where other groups run beside this one, and the
/// machine is not its own, less than three.
///
/// # Errors
/// It took longer; `what` says what.
pub fn ensure_prompt(what: &str, took: Duration) -> Result<()> {
    let limit = Duration::from_secs(if env::var_os(GROUP).is_some() { 3 } else { 1 });
    ensure!(took < limit, "{what} took {took:?}");
    Ok(())
}

fn begin() -> Option<Arguments> {
    let mut arguments = Arguments::from_args();
    if let (false, Err(error)) = (arguments.list, lab::must_be_root()) {
        eprintln!("{error}");
        return None;
    }
    arguments.test_threads = Some(1);
    Some(arguments)
}

/// Whether libtest-mimic would run the trial.
fn is_selected(arguments: &Arguments, trial: &Trial) -> bool {
    let matches = |pattern: &String| match arguments.exact {
        true => trial.name() == pattern,
        false => trial.name().contains(pattern),
    };
    arguments.filter.as_ref().is_none_or(matches) && !arguments.skip.iter().any(matches)
}

/// Runs the groups, each in a process of its own.
fn side_by_side(groups: &[String]) -> ExitCode {
    let (next, good) = (Mutex::new(groups.iter()), Mutex::new(true));
    let take = || next.lock().unwrap_or_else(PoisonError::into_inner).next();
    let work = || {
        while let Some(group) = take() {
            let passed = in_process(group).unwrap_or_else(|error| {
                eprintln!("group {group}: {error}");
                false
            });
            *good.lock().unwrap_or_else(PoisonError::into_inner) &= passed;
        }
    };
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| (0..workers).for_each(|_| drop(scope.spawn(work))));
    let good = good.into_inner().unwrap_or_else(PoisonError::into_inner);
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs one group in a process with this one's arguments; whether it passed.
fn in_process(group: &str) -> io::Result<bool> {
    let mut running = Command::new(env::current_exe()?)
        .args(env::args_os().skip(1))
        .env(GROUP, group)
        .stdout(Stdio::piped())
        .spawn()?;
    if let Some(output) = running.stdout.take() {
        relay(output)?;
    }
    Ok(running.wait()?.success())
}

/// Prints a group's results as they come, and its account in one piece at the end.
fn relay(output: impl Read) -> io::Result<()> {
    let mut account = String::new();
    for line in BufReader::new(output).lines() {
        let line = line?;
        if account.is_empty() && is_progress(&line) {
            println!("{line}");
        } else {
            account += &line;
            account.push('\n');
        }
    }
    writeln!(io::stdout().lock(), "{account}")
}

fn is_progress(line: &str) -> bool {
    let result = line.starts_with("test ") && !line.starts_with("test result");
    result || line.is_empty() || line.starts_with("running ")
}
