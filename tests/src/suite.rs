//! How the suites that need root begin.

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

use crate::lab;

/// Runs what the command line selects of `trials`, one after the other: they share labs, and on few
/// processors it is faster too.
///
/// Says what is missing and fails if this is not root, unless the trials are only to be listed.
pub fn run(trials: impl FnOnce() -> Vec<Trial>) -> ExitCode {
    let mut arguments = Arguments::from_args();
    if let (false, Err(error)) = (arguments.list, lab::must_be_root()) {
        eprintln!("{error}");
        return ExitCode::FAILURE;
    }
    arguments.test_threads = Some(1);
    libtest_mimic::run(&arguments, trials()).exit_code()
}
